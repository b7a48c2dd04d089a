"""Inputs for benchmarks.fuzz_reader."""
