"""Suggestion: labeling functions proposed from explanations, examples and query logs."""
