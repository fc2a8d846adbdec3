"""Virtual time for tests of the control plane."""


class ManualClock:
    """Time that moves when a test says so; wall and rollout clock can be moved apart."""

    def __init__(self, now: float = 0.0, wall: float = 1_700_000_000.0) -> None:
        self._now = now
        self._wall = wall

    def now(self) -> float:
        """Rollout clock, seconds."""
        return self._now

    def wall(self) -> float:
        """Seconds since 1970."""
        return self._wall

    def resume_at(self, seconds: float) -> None:
        """Continue from ``seconds``."""
        self._now = seconds

    def advance(self, seconds: float, *, wall: float | None = None) -> None:
        """Let ``seconds`` pass; ``wall`` gives another change of the wall clock."""
        self._now += seconds
        self._wall += seconds if wall is None else wall
