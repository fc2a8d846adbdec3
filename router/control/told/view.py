"""What every type of :mod:`router.control.told.views` and its siblings is."""

from __future__ import annotations

from typing import Any, Self

import msgspec


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Something that people see."""

    @classmethod
    def of(cls, plain: object) -> Self:
        """The view of plain values. Raises msgspec.ValidationError where one does not fit."""
        return msgspec.convert(plain, cls)

    @classmethod
    def like(cls, one: object) -> Self:
        """The view of an object that has the same attributes."""
        return msgspec.convert(one, cls, from_attributes=True)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as they go over the wire."""
        made: dict[str, Any] = msgspec.to_builtins(self)
        return made
