"""Payloads by name, those of other packages among them.

Workers need one where a policy has answers read in the data path; nothing here imports the policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from router.core.payloads import PAYLOADS, Payload

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "rampway.payloads"
"""Of the entry points that name payloads."""


def payload(name: str) -> Payload:
    """The payload that a route calls ``name``; one of another package is imported the first time.

    Raises LookupError where none is installed, and whatever a broken package raises: control has
    loaded it before it published a table that names it.
    """
    if name not in PAYLOADS:
        from importlib.metadata import entry_points  # noqa: PLC0415 - a megabyte, seldom needed

        (entry,) = entry_points(group=GROUP, name=name) or _missing(name)
        PAYLOADS[name] = loaded(entry)
    return PAYLOADS[name]


def loaded(entry: EntryPoint) -> Payload:
    """What an entry point stands for, made. Raises TypeError for what is no payload."""
    made = entry.load()()
    if not callable(getattr(made, "read", None)):
        raise TypeError("expected a class with the method read, as Payload has it")
    return made  # type: ignore[no-any-return]  # checked as far as can be


def _missing(name: str) -> tuple[EntryPoint]:
    raise LookupError(f"no installed package has the payload {name!r}")
