"""Plan: a statement and a catalog snapshot in, frozen stages out; what EXPLAIN prints."""
