"""A version whose answers were computed beforehand: looked up, or asked of a model.

A version with ``table`` has a :class:`TablePool` in place of a pool: what the table has is answered
here, at once, like a request on a person's :class:`~router.upstream.desk.Desk`; everything else (no
such key, no key, a table that is too old, or is not there) is asked of the model that ``miss``
names, whose endpoints these are. To the rest of the router it is a version like any other.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, cast

from router.core.foreign import REQUEST, Unreadable, at_path, read
from router.core.payloads import Beyond, unpacked
from router.core.wire.endpoint import EndpointEntry
from router.core.wire.lookup import LookupEntry
from router.upstream.connection import Endpoint
from router.upstream.desk import OnDesk
from router.upstream.failure import Failure
from router.upstream.pool import Pool
from router.upstream.table_file import TableError, TableFile
from router.upstream.waiter import Unavailable, Waiter

if TYPE_CHECKING:
    from router.core.wire.table import VersionEntry
    from router.http1 import RequestHead
    from router.upstream.connection import Connection
    from router.upstream.names import Names
    from router.upstream.sockets import Sockets

HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    b"Age: %d\r\nConnection: close\r\n\r\n"
)


NOWHERE: Final = LookupEntry("")
"""Of an entry that is none of a table."""


class TableAsker(Waiter, Protocol):
    """Who asks for a connection, with the question."""

    head: RequestHead
    uploaded: bool

    def whole(self) -> bytes:
        """All of its body."""


class Lookups(NamedTuple):
    """What became of questions since somebody last asked."""

    hits: int
    misses: int
    stale: int
    """The table was older than it may be, or was not there."""


class OnTable(OnDesk):
    """One answer of a table; used once."""

    __slots__ = ("said",)
    said: bytes

    def _answer(self) -> None:
        if self.receiver is not None:
            self.data_received(self.said)


class TablePool(Pool):
    """See the module."""

    def __init__(
        self, entry: VersionEntry, *, connect_s: float, sockets: Sockets | None = None,
        names: Names | None = None,
    ) -> None:  # fmt: skip
        self.table: TableFile | None = None
        self._seen: tuple[int, int, int] | None = None
        self._place = Endpoint(EndpointEntry("", 0))
        self._hits = self._misses = self._stale = 0
        super().__init__(entry, connect_s=connect_s, sockets=sockets, names=names)

    def update(self, entry: VersionEntry, *, connect_s: float) -> None:
        """See Pool."""
        super().update(entry, connect_s=connect_s)
        self._look()

    def sweep(self, now: float) -> None:
        """See Pool; a new table is in force from now on."""
        super().sweep(now)
        self._look()

    def _look(self) -> None:
        path = Path(self._entry.file)
        try:
            found = path.stat()
            seen = found.st_ino, found.st_mtime_ns, found.st_size
            if seen != self._seen:
                self._seen, fresh = seen, TableFile(path)
                self._put(fresh)
        except (OSError, TableError):
            self._put(None)

    def _put(self, table: TableFile | None) -> None:
        if self.table is not None:
            self.table.close()
        self.table = table

    def close(self) -> None:
        """See Pool."""
        super().close()
        self._put(None)

    @property
    def _entry(self) -> LookupEntry:
        return self.entry.table or NOWHERE

    def looked_up(self) -> Lookups:
        """What became of questions since the last call."""
        found = Lookups(self._hits, self._misses, self._stale)
        self._hits = self._misses = self._stale = 0
        return found

    def acquire(
        self, waiter: Waiter, avoid: Endpoint | None = None, now: float = 0.0
    ) -> Connection | None:
        """See Pool. What the table has is a connection that has its answer already."""
        said = self._find(cast("TableAsker", waiter))
        if said is None:
            return super().acquire(waiter, avoid, now)
        if self.in_flight >= self.entry.in_flight:
            raise Unavailable(Failure.QUEUE_FULL)
        self._begin(self._place)
        found = OnTable(self, self._place)
        found.said = said
        return found

    def _find(self, asking: TableAsker) -> bytes | None:
        table, entry = self.table, self._entry
        age_s = time.time() - table.as_of if table is not None else entry.fresh_s
        if table is None or age_s >= entry.fresh_s:
            self._stale += 1
            return None
        key = _key_of(asking, entry)
        answer = table.get(key) if key else None
        if answer is None:
            self._misses += 1
            return None
        self._hits += 1
        body = b"" if asking.head.method == b"HEAD" else answer
        return HEAD % (len(answer), max(age_s, 0)) + body


def _key_of(asking: TableAsker, entry: LookupEntry) -> bytes:
    """What the request asks about; empty where it does not say."""
    head = asking.head
    if entry.header:
        return head.get(entry.header.encode()) or b""
    if not asking.uploaded:
        return b""
    body = asking.whole()
    try:
        if coding := head.get(b"content-encoding"):
            body = unpacked(body, coding.decode("latin-1"), REQUEST.bytes_max)
        return (at_path(read(body, REQUEST), entry.path) or "").encode()
    except (Beyond, Unreadable):
        return b""
