"""Training outputs in, gated and signed artifacts out."""

import runtime as runtime  # before any engine: it shuts out what engines would report
