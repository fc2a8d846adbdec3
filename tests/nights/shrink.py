"""A failing night made small: as few events as still lead to the same violation."""

from __future__ import annotations

from tests.nights.night import Night

TRIES_MAX = 120


def shrunk(seed, name):
    """Numbers of events, in order, that together still violate ``name``."""
    kept = list(range(len(Night(seed).setup.events)))
    tries, size = 0, max(len(kept) // 2, 1)
    while kept and tries < TRIES_MAX:
        found = False
        for at in range(0, len(kept), size):
            fewer = kept[:at] + kept[at + size :]
            tries += 1
            if violates(seed, fewer, name):
                kept, found = fewer, True
                break
        if not found:
            if size == 1:
                break
            size = max(size // 2, 1)
    return tuple(kept)


def violates(seed, kept, name):
    """Whether the night with only these events has that violation first."""
    violations = Night(seed, kept=frozenset(kept)).live().violations
    return bool(violations) and violations[0][0] == name


def command(seed, kept=None):
    """What repeats it."""
    only = "" if kept is None else f" --keep {','.join(map(str, kept)) or 'none'}"
    return f"PYTHONHASHSEED=0 python -m tests.nights --seed {seed}{only}"
