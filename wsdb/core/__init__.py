"""Spec: the nouns every room shares (task, labeling function, label matrix, model, span, error); no behaviour."""
