"""Many nights: in this process, or in others that are given up after a few dozen."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import time

from router.config import schema
from tests.nights import policies, seams
from tests.nights.faults import may_show, put_back
from tests.nights.night import Night, setup
from tests.nights.stories import STORIES

PIECE = 48
"""Nights of one process. Nothing is cleared away in it: the operating system does that at once."""


def warm(nights):
    """What nights share is made before any process is split off."""
    schema.schema()  # what hints of a refused policy are made of
    if nights > policies.BASES:
        for number in range(policies.BASES):
            policies.base(number)
    gc.collect()
    gc.freeze()


def pieces(seeds, jobs):
    """``seeds`` in pieces, such that all processes are busy to the end."""
    size = min(max(len(seeds) // (max(jobs, 1) * 4), 1), PIECE)
    return [seeds[at : at + size] for at in range(0, len(seeds), size)]


@contextlib.contextmanager
def spread(job, several, jobs):
    """``job`` of each of ``several``, in order; 0 ``jobs``: in this process."""
    warm(sum(map(len, several)))
    if not jobs:
        yield map(job, several)
        return
    with multiprocessing.get_context("fork").Pool(jobs, maxtasksperchild=1) as pool:
        yield pool.imap(job, several, chunksize=1)


def many(piece, kept=PIECE + 1, *, told=False):
    """Nights of a piece: (number, CPU seconds, violations by seed, sums of facts)."""
    with seams.installed(kept):
        return lives(piece, lambda seed: Night(seed, story=STORIES[seed][1] if told else None))


def lives(piece, made):
    """What each ``made(seed)`` lives through: (number, CPU s, violations by seed, facts summed)."""
    found, sums = {}, {"digest": 0, "callbacks": 0}
    began = time.process_time()
    for seed in piece:
        out = made(seed).live()
        sums["digest"] ^= out.digest
        sums["callbacks"] += out.steps
        if out.violations:
            found[seed] = out.violations[0]
        for name, number in out.facts.items():
            sums[name] = sums.get(name, 0) + number
    return len(piece), time.process_time() - began, found, sums


def mistakes(heading, names, first):
    """A table of mistakes and what ``first(name)``, a context, finds; how many nobody finds."""
    missed = 0
    print(f"{heading[0]:56} {heading[1]}  by")
    for name in names:
        with first(name) as told:
            found = next(filter(None, told), None)
        missed += found is None
        after, by = (found[0] + 1, found[1][0]) if found else ("-", "NOBODY")
        print(f"{name:56} {after:>6}  {by}", flush=True)
    return missed


def stories(piece):
    """The same of small nights that once failed."""
    return many(piece, told=True)


def finding(name, piece, kept=PIECE + 1):
    """(seed, violation) of the first night of a piece that finds a mistake; None: none does."""
    with seams.installed(kept), put_back(name):
        for seed in piece:
            made = setup(seed)
            if may_show(name, made) and (violations := Night(seed, story=made).live().violations):
                return seed, violations[0]
    return None
