"""A fit survives JSON."""

from __future__ import annotations

import json
from dataclasses import fields

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.labelmodel.strategies import METHODS, balances, noise
from wsdb.core.matrix import VotePatterns
from wsdb.labelmodel import Fit, ScoreForm, fit


def assert_equal(one: object, other: object) -> None:
    if isinstance(one, Fit | ScoreForm):
        for field in fields(one):
            assert_equal(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, np.ndarray):
        assert isinstance(other, np.ndarray)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    else:
        assert one == other


@given(noise(), st.data())
def test_a_fit_read_back_from_json_is_the_same_to_the_last_bit(
    table: tuple[np.ndarray, int], data: st.DataObject
) -> None:
    votes, k = table
    fitted = fit(VotePatterns.of_rows(votes, k), method=data.draw(METHODS), balance=data.draw(balances(k)), regime="lf")
    text = json.dumps(fitted.to_dict(), allow_nan=False)
    assert_equal(Fit.from_dict(json.loads(text)), fitted)
