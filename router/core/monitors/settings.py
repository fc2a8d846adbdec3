"""What a policy asks of monitors, for those who watch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

LABEL, SCORE = "label", "score"
"""The outputs that are watched."""
SLOTS: Final = 168
"""Of a season: the hours of a week."""
FEATURES_MAX: Final = 64
ROWS_MAX: Final = 64
"""Rows of one request that are counted."""
SEGMENTS_MAX: Final = 8
"""Segments with references of their own; with many features fewer (:attr:`Settings.segments`)."""


@dataclass(frozen=True, slots=True)
class Tolerances:
    """From which size on a change matters, and how much is asked for before one is believed."""

    psi: float = 0.1
    share: float = 0.02
    """Of nulls, wrong types, values outside: points above the reference's."""
    rows: int = 500
    """Requests that a window must have."""
    false_discovery_rate: float = 0.01
    window: int = 24
    """Slots."""

    @property
    def to_begin(self) -> int:
        """Looks in a row that make an alarm."""
        return max(self.window // 8, 1)

    @property
    def to_end(self) -> int:
        """Looks in a row that end one."""
        return max(self.window, 1)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a policy asks for, see `monitors`."""

    features: tuple[tuple[str, str], ...] = ()
    """Names and kinds: numeric, categorical, auto."""
    outputs: tuple[str, ...] = ()
    """Of label and score those that answers have."""
    terms: Tolerances = field(default_factory=Tolerances)
    season_s: float = 7 * 86_400.0
    learn_s: float = 7 * 86_400.0
    """How long the reference is learnt where it is the past."""
    reference: str = ""
    """Where a given reference comes from; empty: the past."""
    by: str = ""
    """The feature that tells segments apart; empty: none does."""
    header: str = ""
    """The request header that does; empty: none."""

    @property
    def segments(self) -> int:
        """How many have references of their own: signals of all of them are bounded together."""
        if not (self.by or self.header):
            return 0
        return min(SEGMENTS_MAX, FEATURES_MAX // max(len(self.features), 1) - 1)

    def of_segment(self, reference: str) -> Settings:
        """Those of one segment: false discoveries are shared out among all of them and the whole.

        Each keeps its rate below its share, so all together stay below theirs, however they depend.
        """
        rate = self.terms.false_discovery_rate / (1 + self.segments)
        terms = replace(self.terms, false_discovery_rate=rate)
        return replace(self, terms=terms, reference=reference, by="", header="")

    @property
    def slot_s(self) -> float:
        """Of which a season has :data:`SLOTS`."""
        return self.season_s / SLOTS

    def unlike(self, other: Settings) -> bool:
        """Whether what was learnt is of no use for ``other``."""
        return self.learnt_for != other.learnt_for

    @property
    def learnt_for(self) -> dict[str, object]:
        """What was learnt is of no use for anything else; as JSON has it."""
        return {
            "features": [list(one) for one in self.features], "outputs": list(self.outputs),
            "season_s": self.season_s, "reference": self.reference, "by": self.by,
            "header": self.header.lower(),
        }  # fmt: skip
