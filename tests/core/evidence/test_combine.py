"""Shares of several gates."""

import pytest

from router.core.evidence.combine import average, shares

HALF = frozenset({"error_rate"})


@pytest.mark.parametrize(
    ("names", "fixed", "expected"),
    [
        (["error_rate"], {}, {"error_rate": 1.0}),
        (["guard"], {}, {"guard": 1.0}),
        ([], {}, {}),
        (
            ["error_rate", "latency", "guard"],
            {},
            {"error_rate": 0.5, "latency": 0.25, "guard": 0.25},
        ),
        (["latency", "guard"], {}, {"latency": 0.5, "guard": 0.5}),
        (["error_rate", "guard"], {"guard": 0.2}, {"error_rate": 0.8, "guard": 0.2}),
        (["error_rate", "guard"], {"guard": 0.2, "error_rate": 0.3}, None),
    ],
)
def test_shares(names, fixed, expected):
    found = shares(names, fixed=fixed, half=HALF)
    assert found == pytest.approx(expected or fixed)


@pytest.mark.parametrize("fixed", [{"a": 0.7, "b": 0.4}, {"a": -0.1}])
def test_impossible_shares_are_refused(fixed):
    with pytest.raises(ValueError, match="shares"):
        shares(["a", "b"], fixed=fixed)


def test_a_missing_share_is_idle_cash():
    assert average([]) == 1.0
    assert average([(0.5, 3.0)]) == pytest.approx(2.0)
    assert average([(0.5, 3.0), (0.5, 1.0)]) == pytest.approx(2.0)
