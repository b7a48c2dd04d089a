"""Limits of a site's own: what its followed-up examinations say of them, and what may be changed. Pure."""
