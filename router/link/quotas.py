"""What clients have used of their quotas: one area of memory that all workers share.

The control process makes it and hands it to each worker it starts, so that a quota holds over all
of them, however unevenly the kernel spreads connections, and outlives each of them. It is nothing
on disk: a restart of the router begins anew.

The bucket is the generic cell rate algorithm (ITU-T I.371 annex A): a request at ``now`` is
admitted while ``since + requests * interval`` is no further ahead of it than the burst allows.
Workers take no lock. Each counts in a word of its own, which nobody else writes, so no request is
ever lost, however long a worker is held up between reading and writing; two that look at one client
within the same microsecond may both admit the last request of a burst. ``since`` moves only where a
client has waited so long that its bucket is full, or where a policy changed, and writing that twice
does no harm. `tests/link/test_quotas.py` holds four processes to 5 %.

Clients are looked for in a group of :data:`WAYS` places, by a hash with a secret of this area.
Where all are taken, the one that has asked least today gives way; if it asked at all it begins
anew, which is counted. Of a million clients at once in 2 million places that are a few.
"""

from __future__ import annotations

import mmap
import os
import secrets
import time
from typing import Final

import xxhash

WAYS: Final = 32
"""Places in which one client may be."""
GROUPS: Final = 1 << 16
PLACES: Final = WAYS * GROUPS
WORD: Final = 8
HEAD: Final = 2 * WORD
"""The secret of the hash, and the number of workers."""
COUNT: Final = 4
"""Bytes of a worker's count."""
RACES: Final = 256
"""Requests beyond a burst that are put down to workers that looked at once."""
DAY_S: Final = 86_400
LOOK_EVERY_NS: Final = 1_000_000_000
"""Between two looks at which day it is."""
_GROUP_BYTES: Final = WAYS * WORD
_HALF: Final = 1 << 63
_WHOLE: Final = 1 << 64
_START: Final = (1 << 40) - 1
"""Of a day's word: all requests before it are below, the number of the day above."""
_COUNTS: Final = (1 << 32) - 1


def area_bytes(workers: int) -> int:
    """All that an area may ever take; what no client has touched costs nothing."""
    return HEAD + PLACES * (3 * WORD + COUNT * workers)


def made(workers: int = 1) -> int:
    """A descriptor of a new area. Raises OSError without memory for it."""
    fd = os.memfd_create("rampway-quotas")
    try:
        os.ftruncate(fd, area_bytes(workers))
        os.pwrite(fd, secrets.token_bytes(WORD) + workers.to_bytes(WORD, "little"), 0)
    except OSError:
        os.close(fd)
        raise
    return fd


class SharedQuotas:
    """The descriptor of an area that is handed to several processes, made when it is asked for."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._fd = -1

    @property
    def fd(self) -> int:
        """The descriptor. Raises OSError."""
        if self._fd < 0:
            self._fd = made(self._workers)
        return self._fd

    def close(self) -> None:
        """Let go of it; who maps the area keeps it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class QuotaArea:
    """The area as one worker sees it."""

    def __init__(self, fd: int, worker: int = 0) -> None:
        """``worker``: which of those the area was made for; the only one that counts there."""
        head = os.pread(fd, HEAD, 0)
        self.secret = int.from_bytes(head[:WORD], "little")
        """Of this router, for hashes that clients must not be able to foresee."""
        self._workers = int.from_bytes(head[WORD:], "little")
        self._worker = worker
        self._map = mmap.mmap(fd, area_bytes(self._workers))
        whole = memoryview(self._map)
        size = WORD * PLACES
        who, since, day = (whole[HEAD + n * size : HEAD + (n + 1) * size] for n in range(3))
        self._who, self._since, self._day = who.cast("Q"), since.cast("Q"), day.cast("Q")
        self._counts = whole[HEAD + 3 * size :].cast("I")
        self._today = 0
        self._look_ns = 0
        """When the day is looked up again, monotonic nanoseconds."""
        self.forgotten = 0
        """Clients that had to give way although they had asked something today."""

    def wait_s(self, client: bytes, interval_ns: int, slack_ns: int, per_day: int) -> int:
        """0: the request is admitted and counted. Else the whole seconds until one may be.

        Args:
            client: Who asks, of which route.
            interval_ns: Between two requests at the quota's rate; 0: it has none.
            slack_ns: How far ahead of that a client may be: ``interval_ns * (burst - 1)``.
            per_day: Requests in a day of UTC; 0: without a bound.
        """
        number = xxhash.xxh64_intdigest(client, self.secret) or 1
        begin = HEAD + number % GROUPS * _GROUP_BYTES
        place = self._map.find(number.to_bytes(WORD, "little"), begin, begin + _GROUP_BYTES)
        now_ns = time.monotonic_ns()
        if now_ns >= self._look_ns:
            self._look_at_the_calendar(now_ns)
        today = self._today
        index = self._enter(number, today) if place < 0 or place % WORD else (place - HEAD) // WORD
        counts, workers = self._counts, self._workers
        first = index * workers
        asked = counts[first] if workers == 1 else sum(counts[first : first + workers])
        if interval_ns:
            spent_ns = asked * interval_ns
            ahead_ns = (self._since[index] + spent_ns - now_ns + _HALF) % _WHOLE - _HALF
            # Further ahead than its quota lets anybody come it is by a policy before this one: it
            # begins anew, like one that has waited until its bucket was full.
            if not 0 <= ahead_ns <= slack_ns + RACES * interval_ns:
                self._since[index] = (now_ns - spent_ns) % _WHOLE
            elif ahead_ns > slack_ns:
                return -(-(ahead_ns - slack_ns) // 1_000_000_000)
        word = self._day[index]
        if word >> 40 != today or asked < word & _START:  # a new day, or counts that came round
            word = self._day[index] = today << 40 | asked
        if per_day and asked - (word & _START) >= per_day:
            return DAY_S - int(time.time()) % DAY_S
        mine = first + self._worker
        counts[mine] = (counts[mine] + 1) & _COUNTS
        return 0

    def _look_at_the_calendar(self, now_ns: int) -> None:
        """Which day it is; looked up every second, for the wall clock may be set."""
        self._today = int(time.time()) // DAY_S
        self._look_ns = now_ns + LOOK_EVERY_NS

    def _enter(self, number: int, today: int) -> int:
        """The place of a client that has none."""
        begin = number % GROUPS * WAYS
        group = self._who[begin : begin + WAYS].tolist()
        if 0 in group:
            index = begin + group.index(0)  # nobody was there: all its words are zero
        else:
            index = min(range(begin, begin + WAYS), key=lambda at: self._used(at, today))
            self.forgotten += self._used(index, today) > 0
            first = index * self._workers
            for at in range(first, first + self._workers):
                self._counts[at] = 0
            self._since[index] = self._day[index] = 0
        self._who[index] = number
        return index

    def _used(self, index: int, today: int) -> int:
        """What a client has asked today, which it would lose."""
        word, first = self._day[index], index * self._workers
        if word >> 40 != today:
            return 0
        return max(sum(self._counts[first : first + self._workers]) - (word & _START), 0)

    def __repr__(self) -> str:
        return f"<QuotaArea {PLACES} places, {self.forgotten} forgotten>"
