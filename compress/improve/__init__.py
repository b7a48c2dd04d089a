"""Going on from a released model with new confirmed cases; see docs/adr/0014."""
