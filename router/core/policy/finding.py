"""What a rule of the policy has to say."""

from __future__ import annotations

from dataclasses import dataclass

KeyPath = tuple[str | int, ...]
"""Keys and indexes from where a rule looks down to the field that should change."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule."""

    path: KeyPath
    message: str
    hint: str = ""
    error: bool = True
