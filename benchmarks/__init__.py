"""Latency, memory and accuracy of bundles on this machine; never part of the wheel."""
