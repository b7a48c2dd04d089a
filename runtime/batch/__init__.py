"""Thousands of radiographs: folders and archives in, one folder of answers out (`ulna detect PATH --out`).

sources.py    what lies under the paths that were named, in a fixed order; what was not looked at is counted
archives.py   members of ZIP and tar archives, read as a stream (unpacking.py), never written to the disk
task.py       one picture to read: its place, by which a later run knows it again
worker.py     the process that reads pictures; crew.py: several of them, replaced when they crash or hang
cluster.py    the same work on the workers of a Dask scheduler
journal.py    findings.jsonl: appended to, synced, taken up again after a kill
folder.py     the folder: whose it is (run.json), and that one run at a time writes it
rows.py       an answer as a row of a table; outputs.py: CSV, Parquet, the failures and the summary
command.py    the run; request.py: what was asked for; progress.py: what is shown meanwhile
"""
