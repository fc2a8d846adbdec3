"""Which fields of an answer differ by themselves: learnt first, then fixed.

Stable answers some requests twice. A field that differs between those two answers differs without
any candidate: a timestamp, a sampled text, the order of ties. Diffy's rule (Twitter, 2015) tells
such noise from a change: a field has really changed only if it differs between the versions more
often than within stable, by more than 20 % of both together, and by more than 0.03 % of requests.

When the rule is applied decides what the evidence is worth. A filter that followed the data would
be bent by what it judges. So noise is learnt from the first ``pairs`` pairs of each kind, which are
no evidence, and then stays: the question put to every later pair was fixed before that pair came,
which is all the sequential tests ask for.
"""

from __future__ import annotations

from collections.abc import Iterable

from router.core.snapshots import Lasting

RELATIVE = 0.2
"""Least relative difference, ``(raw - noise) / (raw + noise)``, of a field that changed."""
ABSOLUTE = 0.0003
"""Least difference of a field that changed, as a share of the pairs."""
LEAST = 2
"""Pairs of stable with itself in which a field must differ to count as noise: one is an accident,
and a field once silenced cannot speak any more."""
FIELDS_MAX = 200
"""Fields that are counted; later ones are counted together."""
OTHER = "(other)"
"""Where fields beyond :data:`FIELDS_MAX` are counted; never silenced."""


class Noise(Lasting, pairs="raw_pairs noise_pairs"):
    """How often each field differs between the versions (raw) and within stable (noise)."""

    raw: dict[str, int]
    noise: dict[str, int]
    raw_pairs: int
    noise_pairs: int
    fixed: frozenset[str] | None

    def __init__(self, share_bp: int, pairs: int) -> None:
        """``share_bp`` 0: nothing is learnt and nothing silenced."""
        self.share_bp = share_bp
        self.pairs = pairs
        self.raw: dict[str, int] = {}
        self.noise: dict[str, int] = {}
        self.raw_pairs = self.noise_pairs = 0
        self.fixed: frozenset[str] | None = None if share_bp else frozenset()
        """Fields that do not decide agreement; None while they are being learnt."""

    @property
    def learning(self) -> bool:
        """Whether pairs are no evidence yet."""
        return self.fixed is None

    @property
    def silenced(self) -> frozenset[str]:
        """What does not decide now."""
        return self.fixed or frozenset()

    def between(self, fields: Iterable[str]) -> None:
        """One pair of stable and the candidate, with the fields that differ."""
        self.raw_pairs += 1
        _count(self.raw, fields)
        self._fix()

    def within(self, fields: Iterable[str]) -> None:
        """One pair of stable with itself."""
        self.noise_pairs += 1
        _count(self.noise, fields)
        self._fix()

    def _fix(self) -> None:
        if self.fixed is None and min(self.raw_pairs, self.noise_pairs) >= self.pairs:
            self.fixed = frozenset(field for field in self.noise if self.explains(field))

    def explains(self, field: str) -> bool:
        """Whether noise alone explains how often ``field`` differs, by the counts so far."""
        noisy = self.noise.get(field, 0)
        if noisy < LEAST or field == OTHER or not self.raw_pairs:
            return False
        raw, noise = self.raw.get(field, 0) / self.raw_pairs, noisy / self.noise_pairs
        gap = raw - noise
        return not (gap > 0 and gap / (raw + noise) > RELATIVE and gap > ABSOLUTE)


def _count(counts: dict[str, int], fields: Iterable[str]) -> None:
    for name in fields:
        field = name if name in counts or len(counts) < FIELDS_MAX else OTHER
        counts[field] = counts.get(field, 0) + 1
