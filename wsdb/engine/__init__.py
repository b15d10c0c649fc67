"""Engine: a plan in, Arrow out; DuckDB by default, Spark by choice."""
