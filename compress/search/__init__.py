"""Many recipes at once: which one is small, fast and still finds the fractures (`ulna search`).

Trials are drawn with Optuna and made on Dask (compress.search.run). Everything that a search chooses by
comes from the calibration patients. The gate patients are asked after the choice, for the few trials that no
other beats; what they say is recorded and chooses nothing: of many trials judged on the same patients the
luckiest would win, and its verdict would no longer be a statement about new patients
(docs/adr/0019-a-search-never-chooses-by-the-gate.md).
"""
