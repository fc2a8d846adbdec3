"""Connections to the PostgreSQL server of a store, and what it means when one fails.

A server that is there but does not answer returns no statement and no connection by itself:
everything here has a time limit. A statement that ran out of time may still happen; whoever asks
takes the connection for lost, and reads what is there before it tries again.
"""

from __future__ import annotations

from typing import Any, Final

import asyncpg

from router.control.state.errors import StoreDamaged, StoreUnavailable
from router.core.databases import POSTGRES_FORM, named

CONNECT_S: Final = 2.0
"""Within which a server must answer a new connection."""
COMMAND_S: Final = 2.0
"""The same for a statement."""
IDLE_MS: Final = 500
"""A process that is paused inside a transaction keeps rows locked no longer than that."""
LOCK_MS: Final = 1_500
"""How long a statement waits for a row that another one has, milliseconds."""
OLDEST: Final = 14
"""Of the servers that are known to work."""
HINTS_CHARS_MAX: Final = 200
"""Kept of what a server says of itself."""

LOST: Final = (
    OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)  # fmt: skip
"""Everything that a server, or the way to it, can do to a statement."""
REFUSED: Final = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
"""What it says of a change, not of itself."""

_FIXES: Final = (
    (asyncpg.InvalidCatalogNameError, "create the database (`createdb NAME`), or correct `store:`"),
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        "name the user in the URL; its password is that of PGPASSFILE or PGPASSWORD",
    ),
    (
        asyncpg.InsufficientPrivilegeError,
        "let this user make tables there (`GRANT CREATE, USAGE ON SCHEMA ... TO ...`)",
    ),
    (
        asyncpg.InvalidSchemaNameError,
        "create the schema that search_path names (`CREATE SCHEMA ...`), or correct `store:`",
    ),
    (asyncpg.ClientConfigurationError, f"write `store: {POSTGRES_FORM}`"),
    (asyncpg.UndefinedObjectError, "correct what stands behind the `?` of `store:`"),
    (
        asyncpg.ReadOnlySQLTransactionError,
        "name the primary server, or add `?target_session_attrs=read-write` to the URL",
    ),
)
"""What no waiting mends, and what does."""
AWAY: Final = "start the server, or correct `store:`"


class Permanent(StoreDamaged):
    """It will be the same in a second: nobody waits for it."""


def said(error: BaseException) -> str:
    """What a failure is called before people."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).splitlines() or [""])[0][:HINTS_CHARS_MAX] or type(error).__name__


def refusal(url: str, error: BaseException) -> StoreDamaged:
    """Why a start cannot have this store: place, cause and way out."""
    for kind, fix in _FIXES:
        if isinstance(error, kind):
            return Permanent(f"store: {named(url)}: {said(error)}; {fix}")
    return StoreDamaged(f"store: {named(url)}: {said(error)}; {AWAY}")


async def connected(url: str, channel: Any = None) -> Any:
    """A connection (asyncpg's) of which nothing waits for ever. Raises one of :data:`LOST`.

    ``channel``: called with what is notified on ``rampway``; a hint, never more.
    """
    limits = {
        "application_name": "rampway",
        "idle_in_transaction_session_timeout": str(IDLE_MS),
        "lock_timeout": str(LOCK_MS),
        "statement_timeout": str(int(COMMAND_S * 1_000)),
        "jit": "off",
    }
    db = await asyncpg.connect(
        url, timeout=CONNECT_S, command_timeout=COMMAND_S, server_settings=limits
    )
    if channel is not None:
        try:
            await db.add_listener("rampway", channel)
        except BaseException:
            db.terminate()
            raise
    return db


def check_server(url: str, db: Any) -> None:
    """Raises StoreDamaged for a server that is too old."""
    major = db.get_server_version().major
    if major < OLDEST:
        raise Permanent(
            f"store: {named(url)}: this is PostgreSQL {major}, the oldest that works is {OLDEST}; "
            "upgrade the server, or name another one in `store:`"
        )


class StoreLink:
    """One connection that is opened when it is wanted, and again after it was lost.

    For one statement at a time: whoever shares it waits for the one before.
    """

    def __init__(self, url: str, channel: Any = None) -> None:
        self._url = url
        self._channel = channel
        self._db: Any = None

    def __repr__(self) -> str:
        return f"<StoreLink {named(self._url)}{'' if self.open else ', closed'}>"

    @property
    def open(self) -> bool:
        """Whether there is a connection that was not lost."""
        return self._db is not None and not self._db.is_closed()

    @property
    def local(self) -> Any:
        """This end's name as a socket: a tuple that begins with the address; None without one."""
        transport = getattr(self._db, "_transport", None)
        return transport.get_extra_info("sockname") if transport is not None else None

    async def db(self) -> Any:
        """The connection. Raises one of :data:`LOST`."""
        if not self.open:
            self.drop()
            self._db = await connected(self._url, self._channel)
        return self._db

    def drop(self) -> None:
        """What it was in the middle of is unknown from here on."""
        old, self._db = self._db, None
        if old is not None and not old.is_closed():
            old.terminate()

    async def close(self) -> None:
        """Part as friends, if that is quick."""
        old, self._db = self._db, None
        if old is None or old.is_closed():
            return
        try:
            await old.close(timeout=COMMAND_S)
        except LOST:
            old.terminate()


def unavailable(url: str, error: BaseException) -> StoreUnavailable:
    """A change was not written, or nobody knows whether it was."""
    return StoreUnavailable(f"{named(url)}: {said(error)}")
