"""Other toolchains, given the faults of `ulna faults` where each would meet them: does it say a word?

A tool runs in a process of its own (child.py) as its documentation shows it, on files that cases.py makes
with the very mutants of compress.faults. cell.py judges what it said and handed over.
"""
