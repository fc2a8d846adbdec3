"""A table with its goals, and its place in a page."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from router.core.gates import GATES
from router.simulation.result import percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

    from router.core.gates import Gate


@dataclass(slots=True)
class Table:
    """One table and what it must show."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    goals: list[tuple[str, bool]] = field(default_factory=list)
    seconds: float = 0.0

    def goal(self, text: str, value: float, most: float) -> None:
        """``value`` must not exceed ``most``."""
        self.goals.append((f"{text}: {value:.3g} (goal: at most {most:g})", value <= most))

    def markdown(self) -> str:
        """Heading and content, as printed."""
        return f"## {self.title}\n\n{self.body()}\n({self.seconds:.0f} s)\n"

    def body(self) -> str:
        """Table and goals."""
        rows = [self.head, ("---",) * len(self.head), *self.rows]
        table = "".join("| " + " | ".join(row) + " |\n" for row in rows)
        goals = "".join(f"- {'met' if met else 'MISSED'}: {text}\n" for text, met in self.goals)
        return f"{table}\n{goals}" if goals else table


@dataclass(frozen=True, slots=True)
class Size:
    """How many runs the sections make."""

    runs: int
    processes: int
    policies: tuple[str, ...] = ()
    """Of tables with a row a policy: only these; empty: all."""

    def part(self, share: float, least: int = 20) -> int:
        """Fewer runs for what is simulated request by request."""
        return max(round(self.runs * share), min(least, self.runs))


def gate(kind: str, **fields: Any) -> Gate:
    """A gate as a policy writes it."""
    return GATES[kind].model_validate(fields)


def pair(values: Sequence[float], text: Callable[[float], str] = lambda v: f"{v:.0f}") -> str:
    """``median / p95``; a dash for what never happened."""
    found = [percentile(sorted(values), share) for share in (0.5, 0.95)]
    return " / ".join(text(v) if math.isfinite(v) else "-" for v in found)


def or_inf(values: np.ndarray) -> list[float]:
    return [v if math.isfinite(v) else math.inf for v in values.tolist()]


def written(page: str, tables: Mapping[str, Table]) -> str:
    """The page with each table between its marks. Raises ValueError where marks are missing."""
    for name, table in tables.items():
        mark = f"<!-- bench-decisions: {name} -->\n"
        part = re.compile(re.escape(mark) + r"[^\0]*?<!-- end -->")
        made = f"{mark}\n{table.title}.\n\n{table.body()}\n<!-- end -->"
        old = part.search(page)
        if old is None:
            raise ValueError(f"the page has no part {mark.strip()} ... <!-- end -->")
        page = page[: old.start()] + made + page[old.end() :]
    return page
