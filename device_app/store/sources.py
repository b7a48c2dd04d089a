"""By which ways an examination came in, as far as the store itself has to know."""

TEST = "test"
"""The known picture that comes with a model: nobody's, and counted among nobody's."""
