"""By which ways an examination came in, as far as the store itself has to know."""

TEST = "test"
"""The known picture that comes with a model: nobody's, and counted among nobody's."""
RECOVERED = "recovered"
"""Known only because its picture was there when the database was mended."""
TAKEN_IN = "taken_in"
"""Its picture had no record and was set aside, and somebody has taken it in again."""
