"""Structured pruning: which channels belong together, what they matter, how far to go."""
