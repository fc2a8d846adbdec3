"""A thousand runs at once, slice by slice: draws, what is known of them at each look, the evidence.

:mod:`tests.bench.decisions.field` makes one run through the product's judge in about a second. Here
the same counts of many runs stand in arrays, and the same capital is held with the product's own
factor tables and release (a test asks both for the same numbers). What differs, always so that
more is convicted here: stretches are never merged, whatever is open. Draws are cut every tenth of a
second and looked at every fifth, where answers take seconds every half. The machine is not in it,
so a trial is not begun: rows in which the guard alone speaks at more than 10 % are simulated with
the machine (section ``outages``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from router.core.alarm import BAD_MAX, FROM_RATIO, RATES, RINGS, STABLE_KEPT
from router.core.evidence.bettors import TOP_RATE, diluted, grouped_table, together
from router.core.evidence.guard import guard_hypotheses
from router.core.evidence.users import bets_of
from router.core.gates.comparison import FRESH
from router.core.gates.error_rate import REFUSAL_RATE, REFUSAL_TOLERANCE, REFUSALS
from router.core.gates.guard import BROKEN, WITNESS, Guard
from router.core.wire.baseline import TOGETHER_S, Baseline
from router.telemetry.slices import SharedCause
from router.telemetry.versions import VersionStats
from tests.bench.decisions.vector import CAPITAL_MAX, VectorPot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SLICE_S = 0.1
BLOCK = 10
"""Slices that are taken together where it is asked whether the limit may be near."""
SLICES_A_LOOK = 2
LIMIT = 100.0
GUARD_LIMIT = 0.05
GUARD_SHARE = Guard.small or 0.0
TIMEOUT_S = 30.0


@dataclass
class Requests:
    """One run's requests in the order of drawing."""

    at: np.ndarray
    mine: np.ndarray
    """Drawn to the candidate."""
    bad: np.ndarray
    seconds: np.ndarray
    who: np.ndarray | None = None
    """Users, where they are drawn."""


@dataclass(frozen=True)
class Plan:
    """What is drawn in each slice, and for how long the runs go on."""

    length_s: float
    weight_bp: int | Callable[[float], int]
    p0: float
    """Stable's past."""
    size: int = 1
    """Failures that may have one cause."""
    slices_a_look: int = SLICES_A_LOOK

    @property
    def slices(self) -> int:
        """In which something is drawn."""
        return math.ceil(self.length_s / SLICE_S)

    def weights(self) -> np.ndarray:
        """Basis points, one a slice."""
        if isinstance(self.weight_bp, int):
            return np.full(self.slices, self.weight_bp)
        return np.array([self.weight_bp(j * SLICE_S) for j in range(self.slices)])


class Counts:
    """Of one question: drawn, bad and good of both arms, (runs, slices), as far as it is known."""

    def __init__(self, runs: int, slices: int) -> None:
        shape = (8, runs, slices)
        self.known = np.zeros(shape, dtype=np.int32)  # cd sd cb sb cg sg cm sm
        self.flat = self.known.reshape(8, runs * slices)

    def draw(self, where: np.ndarray, mine: np.ndarray) -> None:
        """All draws of all runs; those of later slices are not looked at yet."""
        np.add.at(self.flat[0], where[mine], 1)
        np.add.at(self.flat[1], where[~mine], 1)

    def settle(
        self, where: np.ndarray, mine: np.ndarray, bad: np.ndarray, more: np.ndarray
    ) -> None:
        """These have ended; ``more``: with another's cause."""
        row = 2 + (~mine) + 2 * (~bad)
        np.add.at(self.flat, (row, where), 1)
        np.add.at(self.flat, (6 + (~mine[more]), where[more]), 1)

    def blocks(self, first: int, upto: int) -> np.ndarray:
        """Sums of :data:`BLOCK` slices each, from the slice ``first`` (a multiple of it) on."""
        edges = np.arange(0, upto - first, BLOCK)
        sums: np.ndarray = np.add.reduceat(self.known[:, :, first:upto], edges, axis=2)
        return sums


class Alarms:
    """:class:`router.core.alarm.FailureAlarm` of every run."""

    def __init__(self, runs: int, p0: float) -> None:
        self.p0 = p0
        self.sums = np.zeros((runs, RATES))
        self.bad, self.total = np.zeros(runs), np.zeros(runs)
        self.rung = np.zeros(runs, dtype=bool)

    def observe(self, bad: np.ndarray, good: np.ndarray, sb: np.ndarray, st: np.ndarray) -> None:
        """What ended since the last look; the candidate's, then stable's failures of all."""
        self.bad, self.total = self.bad + sb, self.total + st
        kept = np.where(self.total > STABLE_KEPT, STABLE_KEPT / np.maximum(self.total, 1.0), 1.0)
        self.bad, self.total = self.bad * kept, self.total * kept
        known = self.total >= STABLE_KEPT / 10
        present = np.where(known, self.bad / np.maximum(self.total, 1.0), 0.0)
        b = np.minimum(1.1 * np.maximum(self.p0, present) + 0.001, 0.9)[:, None]
        low = np.minimum(FROM_RATIO * b, (b + TOP_RATE) / 2)
        r = low * (TOP_RATE / low) ** (np.arange(RATES) / (RATES - 1))[None, :]
        down = (good / (bad + 1))[:, None] * np.log((1.0 - r) / (1.0 - b))
        up = np.log(r / b)
        many = bad > BAD_MAX
        whole = np.maximum(self.sums + bad[:, None] * (up + down), 0.0)
        sums = np.maximum(self.sums + down, 0.0)
        for turn in range(int(bad[~many].max(initial=0))):
            again = (turn < bad)[:, None]
            sums = np.where(again, np.maximum(sums + up + down, 0.0), sums)
        self.sums = np.where(many[:, None], whole, sums)

    def rings(self) -> np.ndarray:
        """In which runs it has begun to ring."""
        before, level = self.rung, self.sums.max(axis=1)
        self.rung = level >= np.where(before, RINGS / 2, RINGS)
        begun: np.ndarray = self.rung & ~before
        return begun


class Evidence:
    """One :class:`CompareEvidence` or :class:`GuardEvidence` of every run."""

    def __init__(
        self, counts: Counts, tables: np.ndarray, of_slice: np.ndarray, kind: str, *,
        swapped: bool = False,
    ) -> None:  # fmt: skip
        """``tables``: (weights, 4, bettors); ``kind``: prefix, hasty, refusals or guard."""
        runs = counts.known.shape[1]
        self.counts, self.tables, self.of_slice = counts, tables, of_slice
        self.kind, self.swapped = kind, swapped
        self.pot = VectorPot(runs, tables.shape[2], alarmed=kind != "guard")
        self.front = np.zeros(runs, dtype=np.int64)
        self.behind = np.full(runs, -1)
        """Up to which slice an alarm's release waits; -1: for none."""

    def value(self, upto: int, rows: np.ndarray) -> np.ndarray:
        """The evidence of the runs ``rows``, of what was drawn before the slice ``upto``."""
        best = self.pot.capital[rows]
        front = self.front[rows]
        first = int(front.min(initial=upto))
        if first >= upto:
            return best
        window = self.counts.known[:, rows, first:upto].astype(np.float64)
        if len(self.tables) == 1:
            logs = np.tensordot(self._doubt(window), self.tables[0], axes=(0, 0))
        else:
            tables = self.tables[self.of_slice[first:upto]]
            logs = np.einsum("crw,wck->rwk", self._doubt(window), tables)
        ahead = np.arange(first, upto)[None, :] >= front[:, None]
        total = np.cumsum(logs * ahead[:, :, None], axis=1)
        grown = np.einsum("rwk,rk->rw", np.exp(np.minimum(total, 500.0)), self.pot.shares[rows])
        found: np.ndarray = np.maximum(best, grown.max(axis=1))
        return found

    def near(self, upto: int, sums: np.ndarray, first: int) -> np.ndarray:
        """In which runs it may be at the limit: no less than the evidence, from sums of slices.

        Within a block everything that speaks for it is taken to come first.
        """
        found = self.pot.capital >= LIMIT
        starts = np.arange(first, upto, BLOCK)
        tables = self.tables[self.of_slice[starts]]
        if len(self.tables) > 1:
            ends = np.minimum(starts + BLOCK, upto) - 1
            if (self.of_slice[starts] != self.of_slice[ends]).any():
                return np.ones_like(found)
        doubt = self._doubt(sums.astype(np.float64))
        logs = _bets(doubt, tables)
        most = _bets(doubt, np.maximum(tables, 0.0))
        begun = (self.front[:, None] - starts[None, :])[:, :, None]
        logs = np.where(begun >= BLOCK, 0.0, np.where(begun > 0, most, logs))
        most = np.where(begun >= BLOCK, 0.0, most)
        before = np.cumsum(logs, axis=1) - logs
        grown = np.exp(np.minimum((before + most).max(axis=1), 500.0))
        with np.errstate(over="ignore"):
            near: np.ndarray = found | ((grown * self.pot.shares).sum(axis=1) >= LIMIT)
        return near

    def ring(self, rows: np.ndarray, upto: int) -> None:
        """An alarm in the runs ``rows``: released when what is known now has settled."""
        fresh = rows & (self.behind < 0)
        self.behind[fresh] = upto
        self._renew()

    def _renew(self) -> None:
        due = np.flatnonzero((self.behind >= 0) & (self.front >= self.behind))
        if len(due):
            self.behind[due] = -1
            self.pot.renew(due)

    def _doubt(self, k: np.ndarray) -> np.ndarray:
        order = (1, 0, 3, 2, 5, 4, 7, 6) if self.swapped else range(8)
        cd, sd, cb, sb, _, sg, cm, sm = (k[i] for i in order)
        if self.kind == "guard":
            return np.stack([cb, cd - cb, cm])
        if self.kind == "hasty":
            return np.stack([cb, sb, cd - cb, sd - sb, cm, sm])
        if self.kind == "refusals":  # nobody refuses: all that ended is good
            none, open_ = np.zeros_like(cd), sd - sb - sg
            return np.stack([none, open_, cd, sb + sg, none, open_])
        return np.stack([cb, sd - sg, cd - cb, sg, cm, sm + sd - sg - sb])

    def _open(self, k: np.ndarray) -> np.ndarray:
        mine, others = k[0] - k[2] - k[4], k[1] - k[3] - k[5]
        if self.kind == "guard":
            return others if self.swapped else mine
        total: np.ndarray = mine + others
        return total

    def close(self, upto: int) -> None:
        """Bet for good on what has settled."""
        flat, pot, width = self.counts.flat, self.pot, self.counts.known.shape[2]
        rows = np.flatnonzero(self.front < upto)
        while len(rows):
            settled = flat[:, rows * width + self.front[rows]]
            over = self._open(settled) == 0
            rows = rows[over]
            if not len(rows):
                break
            counts = self._doubt(settled[:, over].astype(np.float64))
            if len(self.tables) == 1:
                logs = counts.T @ self.tables[0]
            else:
                logs = np.einsum("cr,rck->rk", counts, self.tables[self.of_slice[self.front[rows]]])
            with np.errstate(over="ignore"):
                grown = pot.shares[rows] * np.exp(np.minimum(logs, 500.0))
            pot.shares[rows] = np.minimum(grown, CAPITAL_MAX)
            events = counts[0] if self.kind == "guard" else counts[0] + counts[1]
            if events.any():
                pot.give_out(rows, events)
            self.front[rows] += 1
            rows = rows[self.front[rows] < upto]
        self._renew()


def _bets(doubt: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """Log factors (runs, blocks, bettors) of sums (outcomes, runs, blocks)."""
    if (tables == tables[:1]).all():
        return np.tensordot(doubt, tables[0], axes=(0, 0))
    logs: np.ndarray = np.einsum("crw,wck->rwk", doubt, tables)
    return logs


def compare_tables(
    weights: np.ndarray, rates: tuple[float, float, float], size: int, *, ok: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """(tables of each distinct weight, which one a slice has)."""
    distinct, of_slice = np.unique(weights, return_inverse=True)
    tables = [np.array(grouped_table(int(w), *rates, ok, size=size)).T for w in distinct]
    return np.array(tables), of_slice


def guard_tables(slices: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The guard's one table."""
    rows = []
    for rate in guard_hypotheses(GUARD_LIMIT, "above"):
        first, more = together(math.log(rate / GUARD_LIMIT), size)
        rows.append((first, diluted(math.log((1.0 - rate) / (1.0 - GUARD_LIMIT)), size), more))
    return np.array([np.array(rows).T]), np.zeros(slices, dtype=np.int64)


@dataclass
class Found:
    """What became of the runs."""

    convicted_s: np.ndarray
    """Infinite where it never was."""
    bad: np.ndarray
    """Failures of the candidate's requests that were drawn up to then."""
    capital: list[np.ndarray] = field(default_factory=list)
    """At each look, where asked for."""


class _Judge:
    """Default gates: error_rate (failures, refusals) and guard."""

    def __init__(self, runs: int, plan: Plan, *, sticky: bool) -> None:
        weights = plan.weights()
        slices = plan.slices
        rates = (plan.p0, 0.1, 0.001)
        refused = (REFUSAL_RATE, 0.1, REFUSAL_TOLERANCE)
        self.sticky = sticky
        self.every = Counts(runs, slices)
        self.firsts = Counts(runs, slices) if sticky else self.every
        self.betting = Counts(runs, slices) if sticky else None

        def compare(
            counts: Counts, kind: str, *, ok: bool = True,
            of: tuple[float, float, float] = rates,
        ) -> Evidence:  # fmt: skip
            size = 1 if of is refused else plan.size
            return Evidence(counts, *compare_tables(weights, of, size, ok=ok), kind)

        asked = [(self.firsts, True)]
        if self.betting is not None:
            asked.append((self.betting, False))
        self.errors = [compare(counts, "prefix", ok=ok) for counts, ok in asked]
        self.witness = [compare(counts, "hasty", ok=ok) for counts, ok in asked]
        self.refusals = compare(self.firsts, "refusals", of=refused)
        guard = guard_tables(slices, plan.size)
        self.absolute = Evidence(self.every, *guard, "guard")
        self.stables = Evidence(self.every, *guard, "guard", swapped=True)
        self.leading = (*self.errors, self.refusals, self.absolute)
        """Together they have all of the capital: where none is at the limit, their mean is not."""
        self.all = (*self.leading, *self.witness, self.stables)

    def capital(self, upto: int, *, exact: bool = False) -> np.ndarray:
        """All together; below the limit 0, if it is not asked for exactly."""
        for evidence in self.all:
            evidence.close(upto)
        found = np.zeros(len(self.absolute.front))
        rows = np.arange(len(found)) if exact else np.flatnonzero(self._near(upto))
        if not len(rows):
            return found
        errors = _mean(e.value(upto, rows) for e in self.errors)
        relative = _mean(e.value(upto, rows) for e in self.witness)
        refused = self.refusals.value(upto, rows)
        later = FRESH if self.sticky else 0.0  # what is kept for users who count anew
        errors = (1.0 - REFUSALS - later) * errors + REFUSALS * refused + later
        guard, stable = self.absolute.value(upto, rows), self.stables.value(upto, rows)
        needed = np.where(stable >= BROKEN, max(LIMIT / GUARD_SHARE, WITNESS), WITNESS)
        guard = np.where(relative >= needed, guard, np.minimum(guard, 1.0))
        guard = np.where(stable < BROKEN, np.maximum(guard, 1.0), guard)  # of forced ones: none
        found[rows] = (1.0 - GUARD_SHARE) * errors + GUARD_SHARE * guard
        return found

    def _near(self, upto: int) -> np.ndarray:
        near = np.zeros(len(self.absolute.front), dtype=bool)
        first = min(int(one.front.min()) for one in self.leading) // BLOCK * BLOCK
        sums: dict[int, np.ndarray] = {}
        for evidence in self.leading:
            counts = evidence.counts
            if first < upto and id(counts) not in sums:
                sums[id(counts)] = counts.blocks(first, upto)
            if first < upto:
                near |= evidence.near(upto, sums[id(counts)], first)
            else:
                near |= evidence.pot.capital >= LIMIT
        return near


def _mean(parts: Iterable[np.ndarray]) -> np.ndarray:
    return np.mean(list(parts), axis=0)


def simulate(
    make: Callable[[np.random.Generator], Requests], plan: Plan, runs: int, seed: int, *,
    sticky: bool = False, keep: bool = False, stop: bool = False, first: int = 0,
) -> Found:  # fmt: skip
    """``runs`` worlds by ``make``, the ``first``-th and those after it, by the default gates.

    ``keep``: every look's capital too; ``stop``: end when all runs are convicted.
    """
    judge = _Judge(runs, plan, sticky=sticky)
    slices = plan.slices
    parts = [make(np.random.default_rng([seed, first + run])) for run in range(runs)]
    where = [run * slices + (r.at / SLICE_S).astype(np.int64) for run, r in enumerate(parts)]
    place = np.concatenate(where)
    mine = np.concatenate([r.mine for r in parts])
    bad = np.concatenate([r.bad for r in parts])
    at = np.concatenate([r.at for r in parts])
    ends = at + np.minimum(np.concatenate([r.seconds for r in parts]), TIMEOUT_S)
    look_s = SLICE_S * plan.slices_a_look
    at_look = np.ceil(ends / look_s).astype(np.int64)
    caused = np.concatenate([_caused(r, plan.size) for r in parts])
    asked = [(judge.every, np.ones(len(place), dtype=bool), bad)]
    if judge.betting is not None:
        masks = [_users_of(r, bets_of(plan.p0)) for r in parts]
        first, bets, fell = (np.concatenate([m[i] for m in masks]) for i in range(3))
        asked += [(judge.firsts, first, bad), (judge.betting, bets, fell)]
    settling = []
    for counts, counted, failed in asked:
        counts.draw(place[counted], mine[counted])
        order = np.argsort(at_look[counted], kind="stable")
        looks = at_look[counted][order]
        settling.append((counts, place[counted][order], mine[counted][order],
                         failed[counted][order], caused[counted][order], looks))  # fmt: skip
    found = Found(np.full(runs, np.inf), np.zeros(runs))
    last = max(int(at_look.max(initial=0)), slices // plan.slices_a_look)
    done = [0] * len(settling)
    seen = np.zeros(runs, dtype=np.int64)
    alarms = Alarms(runs, plan.p0)
    for look in range(1, last + 1):
        for number, (counts, places, arms, failed, more, looks) in enumerate(settling):
            upto = int(np.searchsorted(looks, look, side="right"))
            part = slice(done[number], upto)
            counts.settle(places[part], arms[part], failed[part], more[part])
            if number == 0:
                ended = places[part] // slices, arms[part], failed[part]
                np.add.at(seen, places[part][arms[part] & failed[part]] // slices, 1)
            done[number] = upto
        drawn = min(look * plan.slices_a_look, slices)
        capital = judge.capital(drawn, exact=keep)
        if keep:
            found.capital.append(capital.copy())
        new = np.isinf(found.convicted_s) & (capital >= LIMIT) & (seen >= 2)
        found.convicted_s[new] = look * look_s
        alarms.observe(*_by_arm(runs, *ended))
        rung = alarms.rings()
        for evidence in judge.errors:
            evidence.ring(rung, drawn)
        if stop and np.isfinite(found.convicted_s).all():
            break
    until = np.repeat(found.convicted_s, [len(r.at) for r in parts])
    run_of = np.repeat(np.arange(runs), [len(r.at) for r in parts])
    np.add.at(found.bad, run_of[mine & bad & (at <= until)], 1)
    return found


def _by_arm(runs: int, run: np.ndarray, mine: np.ndarray, bad: np.ndarray) -> list[np.ndarray]:
    """The candidate's failures and good answers, stable's failures and all of its answers."""
    masks = (mine & bad, mine & ~bad, ~mine & bad, ~mine)
    return [np.bincount(run[mask], minlength=runs).astype(float) for mask in masks]


def _users_of(r: Requests, bets: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(first request, may bet, first failure among those) of each request."""
    assert r.who is not None
    order = np.argsort(r.who, kind="stable")
    who, bad = r.who[order], r.bad[order]
    starts = np.r_[True, who[1:] != who[:-1]]
    begin = np.maximum.accumulate(np.where(starts, np.arange(len(who)), 0))
    nth = np.arange(len(who)) - begin
    failures = np.cumsum(bad) - bad
    before = failures - failures[begin]  # failures of this user before this request
    betting = (nth < bets) & (before == 0)
    back = np.empty(len(who), dtype=np.int64)
    back[order] = np.arange(len(who))
    return (nth == 0)[back], betting[back], (betting & bad)[back]


def _caused(r: Requests, size: int) -> np.ndarray:
    """Failures with the cause of another, as a worker counts them."""
    found = np.zeros(len(r.at), dtype=bool)
    if size <= 1:
        return found
    ends = r.at + r.seconds
    for arm in (r.mine, ~r.mine):
        cause = SharedCause()
        failed = np.flatnonzero(arm & r.bad)
        for i in failed[np.argsort(ends[failed], kind="stable")]:
            found[i] = cause.again(float(ends[i]), size)
    return found


def past(r: Requests) -> Baseline:
    """What a worker knows of stable after these requests."""
    stats = VersionStats("", "", "")
    failed = np.sort((r.at + r.seconds)[~r.mine & r.bad])
    for end in failed.tolist():
        stats.fail(int(end / TOGETHER_S))
    return Baseline(int((~r.mine).sum()), len(failed), clumped=stats.clumped)
