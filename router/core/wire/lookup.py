"""A version whose answers were computed beforehand, as the data plane needs it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LookupEntry:
    """Where answers are looked up; the version's endpoints are those of the model asked else."""

    file: str
    header: str = ""
    """Lower case; its value is the key. Empty: a field of the body is."""
    path: str = ""
    fresh_s: float = 86_400.0
    """An older table is not looked into."""
