"""What other tools would do with the same traffic, for the comparison table.

They look at aggregates, so traffic is given as counts per minute: arrays of shape (runs, minutes)
with the candidate's bad and all answers and stable's. Each function returns the index of the minute
at whose *end* it rolls back, or -1. The models are charitable: no scrape delay, a minute without
candidate traffic is skipped (Flagger's code counts it as failed), and Kayenta gets stable's whole
traffic as its baseline.

============ ==================================================================================
flagger      success rate of the candidate >= 99 %, every minute, ``threshold: 5`` failed checks
             (its documented example; passing checks do not reset the counter)
argo         success rate >= 95 %, every 5 minutes, ``failureLimit: 3`` (its documented example)
argo strict  success rate >= 99 %, every minute, ``failureLimit: 0`` (its default)
kayenta      Mann-Whitney test on per-minute error rates of the last hour, judged every 10 minutes,
             98 % interval, "High" if its lower end exceeds a quarter of the Hodges-Lehmann estimate
z-test       one-sided test of two proportions at 1 %, looked at every minute
============ ==================================================================================
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE_S = 60.0

KAYENTA_POINTS_MIN = 8
"""Minutes with data of either arm below which the judge says nothing (the rank needs them)."""


class Minutes(NamedTuple):
    """Counts per run and minute."""

    candidate_bad: np.ndarray
    candidate_all: np.ndarray
    stable_bad: np.ndarray
    stable_all: np.ndarray


def drawn(
    draw: np.random.Generator, *, requests_per_s: float, weight: float, candidate: np.ndarray,
    stable: np.ndarray,
) -> Minutes:  # fmt: skip
    """Poisson counts for bad rates of shape (runs, minutes)."""
    n_c, n_s = requests_per_s * MINUTE_S * weight, requests_per_s * MINUTE_S * (1.0 - weight)
    bad_c, bad_s = draw.poisson(n_c * candidate), draw.poisson(n_s * stable)
    ok_c, ok_s = draw.poisson(n_c * (1.0 - candidate)), draw.poisson(n_s * (1.0 - stable))
    return Minutes(bad_c, bad_c + ok_c, bad_s, bad_s + ok_s)


def _first(reached: np.ndarray) -> np.ndarray:
    """Index of the first True of each row, -1 if there is none."""
    return np.where(reached.any(axis=1), reached.argmax(axis=1), -1)


def _counted(minutes: Minutes, success: float, failures: int, every: int) -> np.ndarray:
    """Rolls back at the ``failures``-th check below ``success``, one each ``every`` minutes."""
    runs, length = minutes.candidate_bad.shape
    checks = length // every
    shape = (runs, checks, every)
    bad = minutes.candidate_bad[:, : checks * every].reshape(shape).sum(axis=2)
    total = minutes.candidate_all[:, : checks * every].reshape(shape).sum(axis=2)
    failed = (total > 0) & (1.0 - bad / np.maximum(total, 1) < success)
    check = _first(np.cumsum(failed, axis=1) >= failures)
    return np.where(check >= 0, (check + 1) * every - 1, -1)


def flagger(minutes: Minutes) -> np.ndarray:
    """See the module."""
    return _counted(minutes, 0.99, 5, 1)


def argo(minutes: Minutes) -> np.ndarray:
    """See the module; it fails when failures *exceed* the limit."""
    return _counted(minutes, 0.95, 4, 5)


def argo_strict(minutes: Minutes) -> np.ndarray:
    """See the module."""
    return _counted(minutes, 0.99, 1, 1)


def z_test(minutes: Minutes, alpha: float = 0.01, requests_min: int = 100) -> np.ndarray:
    """See the module; it looks once the candidate has had ``requests_min`` requests."""
    x_c, n_c, x_s, n_s = (np.cumsum(counts, axis=1).astype(float) for counts in minutes)
    n_c_safe, n_s_safe = np.maximum(n_c, 1.0), np.maximum(n_s, 1.0)
    pooled = (x_c + x_s) / np.maximum(n_c + n_s, 1.0)
    variance = pooled * (1.0 - pooled) * (1.0 / n_c_safe + 1.0 / n_s_safe)
    z = (x_c / n_c_safe - x_s / n_s_safe) / np.sqrt(np.maximum(variance, 1e-18))
    return _first((n_c >= requests_min) & (z > NormalDist().inv_cdf(1.0 - alpha)))


def kayenta(minutes: Minutes, every: int = 10, lookback: int = 60) -> np.ndarray:
    """See the module."""
    runs, length = minutes.candidate_bad.shape
    found = np.full(runs, -1)
    for run in range(runs):
        for end in range(every, length + 1, every):
            window = slice(max(end - lookback, 0), end)
            if _high(*(counts[run, window] for counts in minutes)):
                found[run] = end - 1
                break
    return found


def _high(x_c: np.ndarray, n_c: np.ndarray, x_s: np.ndarray, n_s: np.ndarray) -> bool:
    candidate = x_c[n_c > 0] / n_c[n_c > 0]
    stable = x_s[n_s > 0] / n_s[n_s > 0]
    n, m = len(candidate), len(stable)
    if min(n, m) < KAYENTA_POINTS_MIN:
        return False
    differences = np.sort((candidate[:, None] - stable[None, :]).ravel())
    z = NormalDist().inv_cdf(0.99)
    rank = int(n * m / 2.0 - z * math.sqrt(n * m * (n + m + 1) / 12.0) - 0.5)
    lower, shift = differences[rank], float(np.median(differences))
    return bool(lower > 0.0 and lower > 0.25 * abs(shift))


TOOLS: dict[str, Callable[[Minutes], np.ndarray]] = {
    "Flagger": flagger,
    "Argo": argo,
    "Argo strict": argo_strict,
    "Kayenta": kayenta,
    "z-test": z_test,
}
"""Every tool of the comparison, by the name in the table."""
