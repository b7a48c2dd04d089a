"""Training outputs in, gated and signed artifacts out."""
