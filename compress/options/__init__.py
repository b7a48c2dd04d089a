"""What a recipe may say, a file for each table of it."""
