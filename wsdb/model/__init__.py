"""Network: a model specification and Arrow batches in, weights and predictions out."""
