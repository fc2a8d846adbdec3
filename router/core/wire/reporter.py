"""Who tells of requests: a process of the data plane, on whatever machine."""

from __future__ import annotations

from typing import NamedTuple


class WorkerId(NamedTuple):
    """One process of the data plane, from its start to its end; no two have the same."""

    replica: str
    """The machine, or pod, that it runs on: unique among those that one store leads."""
    boot: int
    """When it was started, milliseconds since 1970: who takes its place has a later one."""
    number: int
    """Which of the workers of its replica it is, from 0."""

    def __str__(self) -> str:
        """``worker 0``, or ``worker 0 of pod-a``."""
        return f"worker {self.number}" + (f" of {self.replica}" if self.replica else "")
