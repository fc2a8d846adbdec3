"""Gates, strategies and payloads of other packages, found by their entry points.

A package that is installed beside the router names a class in its metadata, and policies can then
write it like one of ours::

    [project.entry-points."rampway.gates"]
    business_hours = "acme_gates:BusinessHours"

Whoever installs packages decides what code runs; a policy only ever names what is there.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from router.config.payloads import GROUP, loaded
from router.core.gates import GATES, Gate
from router.core.payloads import PAYLOADS
from router.core.policy import Policy, RolloutPolicy, Route
from router.core.strategies import STRATEGIES, Strategy

TABLES: Final[Mapping[str, Container[str]]] = {
    "rampway.gates": GATES,
    "rampway.strategies": STRATEGIES,
    GROUP: PAYLOADS,
}
"""Groups of entry points and the tables that they add to."""


@cache
def extend() -> tuple[str, ...]:
    """Add what is installed to the tables, once a process; a sentence for each that was left out.

    A broken or clashing extension keeps no router from starting: a policy that does not name it
    works, and one that names it is refused at its line.
    """
    installed = entry_points()  # reads what every package has of them
    found = [(group, entry) for group in TABLES for entry in installed.select(group=group)]
    problems = [problem for group, entry in found if (problem := _added(group, entry))]
    if len(problems) < len(found):
        for model in (RolloutPolicy, Route, Policy):
            model.model_rebuild(force=True)
    return tuple(problems)


def _added(group: str, entry: EntryPoint) -> str:
    kinds = group.removeprefix("rampway.")
    package = entry.dist.name if entry.dist else "?"
    said = f"{entry.name} ({kinds}) of package {package} was left out"
    if entry.name in TABLES[group]:
        return f"{said}: there is one of that name already"
    try:
        _add(group, entry)
    except Exception as error:  # noqa: BLE001 - foreign code may raise anything when imported
        return f"{said}: {type(error).__name__}: {error}"
    return ""


def _add(group: str, entry: EntryPoint) -> None:
    """Raises TypeError for what is not of its kind, and whatever a broken package raises."""
    if group == GROUP:
        PAYLOADS[entry.name] = loaded(entry)
    elif group == "rampway.strategies":
        STRATEGIES[entry.name] = _strategy(entry.load())
    else:
        gate = _gate(entry.load())
        if gate.kind != entry.name:
            raise TypeError(f"expected kind = {entry.name!r}, as the entry point is called")
        GATES[entry.name] = gate


def _gate(found: object) -> type[Gate]:
    if isinstance(found, type) and issubclass(found, Gate):
        return found
    raise TypeError("expected a subclass of Gate")


def _strategy(found: object) -> type[Strategy]:
    if isinstance(found, type) and issubclass(found, Strategy):
        return found
    raise TypeError("expected a subclass of Strategy")
