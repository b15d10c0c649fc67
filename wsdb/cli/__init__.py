"""Command: arguments in, calls of session and project, printed results out."""
