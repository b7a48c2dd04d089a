"""Faults that the field has suffered, put in for real and run through the ordinary pipeline: is each caught?

A fault is a mutant of a step: the code that a run calls is swapped for code that makes the mistake, and the
run goes on as any other (fault.py, swap.py; docs/adr/0021). catalogue.py names all, one module a kind.
"""
