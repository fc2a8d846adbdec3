"""Gates on pairs at the border of what they tolerate: how often they err, with 1 and with 32 rows.

    python -m tests.bench.pairs [--runs 1000] [--requests 400]

A candidate differs in exactly the tolerated share of rows, and the rows of a request depend on each
other: ``alone`` each for itself, ``mixed`` by a Beta(1/2) share of each request's own, ``whole``
requests at once. Counts runs in which the evidence ever reached 100 : 1, of which one in a hundred
may; ``by the row`` is what it would be if each row were a bet of its own. ``same`` is the model
against itself: the flights of 2013 from March on, drawn by chance, the whole gates.
"""

from __future__ import annotations

import argparse
import random

import numpy as np

from router.core.evidence import GuardEvidence
from router.core.evidence.combine import average
from router.core.gates import GateContext
from router.core.gates.agreement import Agreement
from router.core.gates.nulls import Nulls
from router.core.gates.positive_rate import PositiveRate
from router.core.wire.outcomes import Batch, Pairs
from router.core.wire.paired import PairRow, PairRows
from router.core.wire.sampled import PredictedRow as Row
from tests.bench.outputs import Flights

LIMIT = 100.0
AGREE = 0.05


def share(rnd, rate, rows, kind):
    """How many of the rows of one request differ."""
    if kind == "whole":
        return rows * (rnd.random() < rate)
    if kind == "mixed":
        rate = rnd.betavariate(0.5, 0.5 * (1.0 - rate) / rate)
    return sum(rnd.random() < rate for _ in range(rows))


def agreement(rnd, rows, kind, requests, by_row):
    evidence = GuardEvidence(AGREE)
    for _ in range(requests):
        bad = share(rnd, AGREE, rows, kind)
        if by_row:
            evidence.observe(bad, rows - bad)
        else:
            evidence.observe_share(bad / rows)
        if evidence.capital >= LIMIT:
            return True
    return False


def same(flights, rnd, rows, requests):
    """Whether the gates of a shadow, each with its share, ever convict stable of itself."""
    gates = (Agreement(at_least="95%", apart="50%"), PositiveRate(score_margin="1%"), Nulls())
    part = 1.0 / len(gates)
    states = [gate.start(GateContext(limit=LIMIT / part)) for gate in gates]
    v2 = flights.scores["v2"]
    for number in range(requests):
        made = []
        for place in rnd.choices(range(len(v2)), k=rows):
            score = float(v2[place])
            # Both run on machines of their own: sums in another order differ in the last digits.
            other = score * (1.0 + rnd.gauss(0.0, 1e-7))
            ours, theirs = (Row(str(int(one >= 0.5)), one) for one in (score, other))
            agreed = ours.label == theirs.label
            change = int(other > 0.5) - int(score > 0.5)
            made.append(PairRow(agreed, ours, theirs, change, other - score))
        agreed = all(row.agreed for row in made)
        pairs = Pairs(agreed=int(agreed), disagreed=int(not agreed), rows=(PairRows(tuple(made)),))
        for state in states:
            state.observe(Batch("r", 1, pairs=pairs))
        if number % 10 == 9 and average([(part, one.capital) for one in states]) >= LIMIT:
            return True
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--requests", type=int, default=400)
    options = parser.parse_args()
    for rows, kind in ((1, "alone"), (32, "alone"), (32, "mixed"), (32, "whole")):
        for by_row in (False, True) if rows > 1 else (False,):
            hits = sum(
                agreement(random.Random(f"{rows} {kind} {seed}"), rows, kind, options.requests,
                          by_row)
                for seed in range(options.runs)
            )  # fmt: skip
            how = "by the row" if by_row else "by the request"
            print(f"agreement, {rows} rows, {kind}, {how}: {hits} of {options.runs}", flush=True)
    flights = Flights.load()
    assert np.isfinite(flights.scores["v2"]).all()
    for rows in (1, 32):
        runs = options.runs if rows == 1 else options.runs // 4
        requests = options.requests if rows == 1 else options.requests // 4
        hits = sum(same(flights, random.Random(seed), rows, requests) for seed in range(runs))
        print(
            f"same model, {rows} rows: {hits} of {runs} convicted in {requests} pairs", flush=True
        )


if __name__ == "__main__":
    main()
