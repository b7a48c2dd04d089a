"""Radiographs computed from physics: solids, fractures as cuts through them, X-ray projection, the plate."""
