"""Statement: SQL text in, statements with spans out, and back to canonical text."""
