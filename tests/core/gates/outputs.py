"""What sampled requests of two versions predicted, as gates that read predictions are fed."""

from __future__ import annotations

import random

from router.core.gates import GateContext
from router.core.gates.by import SegmentKeys
from router.core.wire.outcomes import Batch
from router.core.wire.sampled import Facts, SampleFacts


def sample(candidate, *rows, weight_bp=5_000, why="", segments=()):
    return SampleFacts(0, 0, weight_bp, candidate, 0, segments, Facts(tuple(rows), why))


def begun(gate, **context):
    return gate.start(GateContext(told=SegmentKeys([gate]), **context))


def feed(state, *samples):
    state.observe(Batch("r", 1, samples=samples))
    return state


def play(state, candidate, stable, requests, *, seed=1, rows=1, weight_bp=5_000, until=True):
    """Feed requests until the gate fails (or all of them); how many it took.

    ``candidate`` and ``stable`` make a row of a random stream, which both share: the request's.
    """
    chance = random.Random(seed)
    for number in range(requests):
        is_candidate = chance.random() * 10_000 < weight_bp
        make = candidate if is_candidate else stable
        feed(state, sample(is_candidate, *(make(chance) for _ in range(rows)), weight_bp=weight_bp))
        if until and state.capital >= state.context.limit:
            return number + 1
    return requests
