"""Tests of going on from a released model."""
