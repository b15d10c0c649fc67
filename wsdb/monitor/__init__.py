"""Report: matrices, posteriors and windows in, findings about them out."""
