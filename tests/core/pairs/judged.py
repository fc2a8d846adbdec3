"""A pair judged in one go: what control and the reader do to it, one after the other."""

from __future__ import annotations

from router.control.told.paired import shadow_view


def judged(terms, sample, silenced=frozenset()):
    """What one pair says, bodies included."""
    finding = terms.by_status(sample)
    if finding is not None:
        return finding
    stable, other = terms.sides(sample)
    codings = (stable.coding, other.coding)
    bodies = (stable.body, other.body)
    return terms.read_as(terms.likeness.compare(terms.payload, *bodies, silenced, codings))


def judged_by(book, sample):
    """The same with what a book knows to be noise."""
    return judged(book.terms, sample, book.noise.silenced)


def as_told(book, *, route="r", rollout="r-1"):
    """What a book has found, as the API tells it."""
    return shadow_view(book, route=route, rollout=rollout, live=True).to_json()
