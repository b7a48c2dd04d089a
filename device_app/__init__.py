"""The clinic kiosk; imports runtime only."""
