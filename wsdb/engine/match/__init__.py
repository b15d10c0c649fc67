"""Match: predicates over columns that run as polars kernels on the Arrow batches of the one scan.

A labeling function leaves the SQL only where the answer is provably DuckDB's. Every text predicate becomes one tree of
character sets (`pattern`), read from LIKE (`like`), RE2's syntax (`re2`) or a literal, with lower(), upper() and
``(?i)`` worked into the sets (`charset`), and from there a literal or a regular expression of polars (`rust`,
`evaluate`). Very many keywords are looked up together (`keywords`, `scan`).
"""

from wsdb.engine.match.kernel import Kernel, kernel_of, kernels_of
from wsdb.engine.match.matcher import Matcher, matcher_of

__all__ = ["Kernel", "Matcher", "kernel_of", "kernels_of", "matcher_of"]
