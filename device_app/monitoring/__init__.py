"""The box watches itself: what comes in, what it answers, and whether that has changed."""
