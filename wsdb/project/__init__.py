"""Project: files of statements in, the difference to the catalog out."""
