"""Intervals of shares, as SQL."""

from __future__ import annotations

Z95 = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


def wilson(share: str, n: str) -> tuple[str, str]:
    """Return SQL of the ends of the Wilson interval at 95 %; NULL where `n` is 0 or NULL.

    Parameters
    ----------
    share : SQL of the share of hits, in 0 … 1
    n : SQL of the number of trials, which need not be whole

    Notes
    -----
    Wilson (1927): (p + z²/2n ± z sqrt(p(1 - p)/n + z²/4n²)) / (1 + z²/n).
    """
    size = f"nullif(({n})::DOUBLE, 0)"
    centre = f"(({share}) + {Z95**2 / 2} / {size}) / (1 + {Z95**2} / {size})"
    spread = f"greatest(({share}) * (1 - ({share})), 0) / {size} + {Z95**2 / 4} / ({size} * {size})"
    width = f"{Z95} * sqrt({spread}) / (1 + {Z95**2} / {size})"
    known = f"CASE WHEN {size} IS NOT NULL THEN"
    return f"{known} greatest({centre} - {width}, 0) END", f"{known} least({centre} + {width}, 1) END"


def ends(name: str, share: str, n: str) -> str:
    """Return SQL of the columns ``<name>_low`` and ``<name>_high``."""
    low, high = wilson(share, n)
    return f"{low} AS {name}_low, {high} AS {name}_high"
