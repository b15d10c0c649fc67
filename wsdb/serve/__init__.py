"""Predictor: a model version as a table function, a macro or a server."""
