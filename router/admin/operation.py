"""What one method of one path of the admin interface is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from router.admin.schemas import Schema

if TYPE_CHECKING:
    from aiohttp import web

    from router.admin.handlers import Call
    from router.core.policy.server import Role

Respond = Callable[["Call"], Awaitable["web.StreamResponse"]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    role: Role | None
    """Least role that may ask; PUBLIC needs no token."""
    handler: Respond
    summary: str
    query: Mapping[str, Schema] = field(default_factory=dict)
    """Query parameters by name; others are refused. ``required`` is read from the schema."""
    body: Schema | None = None
    """Schema of the JSON body; None: no body. Commands bring their own, see ``COMMANDS``."""
    name: str = ""
    """In the document; empty: the handler's."""
    answer: str = ""
    """Component schema of the JSON answer; a media type for what is no JSON."""
    statuses: tuple[int, ...] = ()
    """Refusals of its own, besides 401, 403, 421 (access) and 422 (fields)."""
    shape: type[msgspec.Struct] | None = None
    """The body as a type, for large ones: it is read and checked at once, see ``Call.shaped``."""
    commands: tuple[str, ...] = ()
    """One path for each of these, in place of ``{command}``."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Where it is served."""
        named = (self.path.replace("{command}", name) for name in self.commands)
        return tuple(named) or (self.path,)
