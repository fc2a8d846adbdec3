"""Writes the pages that are drawn from code: `make docs`."""

from pathlib import Path

from router.core.machine import TRANSITIONS
from router.core.rollout import TERMINAL

ROOT = Path(__file__).resolve().parents[2]


def state_machine() -> str:
    """The transition table as a diagram and as a table."""
    lines = [
        "# The state machine",
        "",
        "Drawn from the table in `router/core/machine.py` by `make docs`; the theory is there too.",
        "",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> progressing",
    ]
    for phase, rows in TRANSITIONS.items():
        edges: dict[str, list[str]] = {}
        for event, row in rows.items():
            for to in row.to:
                if to is not phase:
                    edges.setdefault(to.value, []).append(event.__name__)
        lines += [f"    {phase.value} --> {to}: {', '.join(names)}" for to, names in edges.items()]
        if phase in TERMINAL:
            lines.append(f"    {phase.value} --> [*]")
    lines += ["```", "", "| phase | " + " | ".join(e.__name__ for e in rows) + " |"]
    lines.append("| --- |" + " --- |" * len(rows))
    for phase, rows in TRANSITIONS.items():
        cells = [", ".join(p.value for p in row.to) or "refused" for row in rows.values()]
        lines.append(f"| {phase.value} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


PAGES = {"docs/state-machine.md": state_machine}

if __name__ == "__main__":
    for path, page in PAGES.items():
        (ROOT / path).write_text(page())
        print(path)
