"""Ways for a picture to come in besides the upload screen."""
