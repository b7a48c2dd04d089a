"""A/B slots: verify, install, self-test, switch, roll back."""
