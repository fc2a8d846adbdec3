"""Which clients were seen, by places of a hash of their address."""

from __future__ import annotations

from router.core.wire.outcomes import LANES


class Callers:
    """Which places of clients were seen in one attempt of a rollout."""

    __slots__ = ("about", "marks", "told")

    def __init__(self, about: tuple[str, int]) -> None:
        self.about = about
        self.marks = bytearray(LANES)
        """Set by each drawn request of a client in its place."""
        self.told = bytes(LANES)

    def take(self) -> tuple[int, ...]:
        """Places that are new since the last call."""
        if self.marks == self.told:
            return ()
        before, self.told = self.told, bytes(self.marks)
        return tuple(place for place in range(LANES) if self.told[place] > before[place])
