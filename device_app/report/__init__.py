"""One examination on one sheet of paper: what stands on it, how it is made to fit, and the same as PDF."""
