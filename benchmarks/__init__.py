"""Latency, memory and accuracy of bundles on this machine; never part of the wheel."""

import runtime as runtime  # before any engine: it shuts out what engines would report
