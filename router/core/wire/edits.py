"""What a version is asked otherwise than the client asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EditEntry:
    """What a version is asked otherwise than the client asked; see `RequestEdit` of a policy."""

    model: str = ""
    path: str = ""
    stem: str = ""
    """Of the route's path: what stands before its `*`."""
    host: str = ""
    headers: tuple[tuple[str, str], ...] = ()
