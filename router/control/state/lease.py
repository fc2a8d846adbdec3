"""Who may write to a shared store: a row with a term, which a router renews as long as it lives.

The lease runs out by the server's clock (``clock_timestamp()``: ``now()`` stands still within a
transaction). Its *term* grows whenever it is taken, also by the same process over a new
connection: what an older connection may still have under way is then refused, as is everything of
a process that was paused and wakes (a fencing token; M. Kleppmann, 2016, *How to do distributed
locking*).
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from typing import Any, Final, NamedTuple

LEASE_S: Final = 1.5
"""From the last word of a router to the moment when another may take its place."""
RENEW_S: Final = 0.5
WAITING_S: Final = 1.0
"""How long the word of a successor that waits is believed."""

_TAKE: Final = """
INSERT INTO rampway_lease (name, holder, term, expires)
VALUES ('leader', $1, $2::bigint + 1, clock_timestamp() + $3 * interval '1 s')
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires = excluded.expires,
    term = greatest(rampway_lease.term, $2::bigint) + 1
WHERE rampway_lease.holder = $1
    OR ($2::bigint = 0 AND rampway_lease.expires < clock_timestamp())
RETURNING term
"""
"""Who has led takes it anew only where nobody has led since: what that one decided it does not
know, and its tables are of a term that everybody has left."""
_RENEW: Final = """
WITH mine AS (
    UPDATE rampway_lease SET expires = clock_timestamp() + $2 * interval '1 s'
    WHERE name = 'leader' AND holder = $1 RETURNING 1
)
SELECT (SELECT count(*) FROM mine) AS mine,
    (SELECT holder FROM rampway_lease WHERE name = 'leader') AS leader,
    (SELECT holder FROM rampway_lease WHERE name = 'next' AND expires > clock_timestamp()) AS next
"""
_WAIT: Final = """
INSERT INTO rampway_lease (name, holder, term, expires)
VALUES ('next', $1, 0, clock_timestamp() + $2 * interval '1 s')
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires = excluded.expires
"""
_RELEASE: Final = (
    "UPDATE rampway_lease SET expires = '-infinity' "
    "WHERE holder = $1 AND name IN ('leader', 'next')"
)
LEADER: Final = (
    "SELECT holder, expires > clock_timestamp() AS lives FROM rampway_lease WHERE name = 'leader'"
)
_HINT: Final = "SELECT pg_notify('rampway', current_schema() || ' waits')"


class Holder(NamedTuple):
    """A router that holds the lease, or would like to."""

    host: str
    pid: int
    mark: str
    """Told apart from every other process of that number, and store of that process."""

    @classmethod
    def myself(cls) -> Holder:
        """A new one in this process."""
        return cls(socket.gethostname(), os.getpid(), secrets.token_hex(4))

    @classmethod
    def parsed(cls, text: str) -> Holder:
        """The inverse of :meth:`__str__`; of another program's row as much as there is."""
        host, _, rest = text.partition("/")
        pid, _, mark = rest.partition("/")
        return cls(host, int(pid) if pid.isdecimal() else 0, mark)

    def __str__(self) -> str:
        return f"{self.host}/{self.pid}/{self.mark}"

    @property
    def words(self) -> str:
        """For people."""
        return f"process {self.pid} on {self.host}"


class Lease:
    """The row, as one router sees it. Statements raise what the connection raises."""

    def __init__(self, me: Holder) -> None:
        self.me = me
        self.term = 0
        """Of the last time that it was taken; 0 before."""
        self.lost = ""
        """Why it is another's now; empty while it is ours, or was never."""
        self.next_here = False
        """Whether a router of this machine waits for it."""
        self._renewed_s = float("-inf")
        """When the last word was said that the server has heard, monotonic clock."""

    def __repr__(self) -> str:
        return f"<Lease of {self.me}: term {self.term}{', lost' if self.lost else ''}>"

    @property
    def fresh(self) -> bool:
        """Whether nobody else can have it yet."""
        return not self.lost and time.monotonic() - self._renewed_s < LEASE_S

    async def take(self, db: Any) -> bool:
        """Take it, or take it anew, with a term of its own.

        False while another has it, and for ever once another has had it after us.
        """
        began_s = time.monotonic()
        term = await db.fetchval(_TAKE, str(self.me), self.term, LEASE_S)
        if term is None:
            return False
        self.term, self._renewed_s = term, began_s
        return True

    async def renew(self, db: Any) -> bool:
        """Say that this router lives; False, with :attr:`lost`, when another has taken it."""
        began_s = time.monotonic()
        row = await db.fetchrow(_RENEW, str(self.me), LEASE_S)
        waits = Holder.parsed(row["next"]) if row["next"] else None
        self.next_here = waits is not None and waits != self.me and waits.host == self.me.host
        if row["mine"]:
            self._renewed_s = began_s
        else:
            self.taken_by(row["leader"])
        return bool(row["mine"])

    def taken_by(self, holder: str | None) -> None:
        """It is another's."""
        by = Holder.parsed(holder).words if holder else "nobody: its row is gone"
        self.lost = (
            f"another router leads now ({by}), after this one was not heard for {LEASE_S:g} s"
        )

    async def holder(self, db: Any) -> Holder | None:
        """Who has it, or had it last."""
        said = await db.fetchval(LEADER)
        return Holder.parsed(said) if said else None

    async def wait(self, db: Any) -> None:
        """Tell whoever has it that a successor waits."""
        await db.execute(_WAIT, str(self.me), WAITING_S)
        await db.execute(_HINT)

    async def release(self, db: Any) -> None:
        """Another may have it at once; who waited for it does not wait any more."""
        await db.execute(_RELEASE, str(self.me))
        await db.execute(_HINT)
