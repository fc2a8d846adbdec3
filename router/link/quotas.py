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
HEAD: Final = 128
"""The secret of the hash, and the number of workers; then the groups, each in lines of its own."""
COUNT: Final = 4
"""Bytes of a worker's count."""
AHEAD_PART: Final = 40
"""Of what a client may ask at once (and in a day) all workers together may count ahead."""
AHEAD_MAX: Final = 64
"""Requests that one worker counts ahead for one client."""
PAID_MAX: Final = 131_072
"""Clients for whom a worker has counted ahead, some 20 MB; beyond, all of that is forgotten."""
RACES: Final = 256
"""Requests beyond a burst that are put down to workers that looked at once."""
DAY_S: Final = 86_400
LOOK_EVERY_NS: Final = 1_000_000_000
"""Between two looks at which day it is."""
_WHO_BYTES: Final = WAYS * WORD
_SINCE, _DAY, _COUNTED = WAYS, 2 * WAYS, 3 * WAYS
"""Where a group has its clients' words, in words: beside each other, for each page that is touched
for the first time, and each line that is not in the processor's cache, costs more than the rest."""
_HALF: Final = 1 << 63
_WHOLE: Final = 1 << 64
_START: Final = (1 << 40) - 1
"""Of a day's word: all requests before it are below, the number of the day above."""
_COUNTS: Final = (1 << 32) - 1


def area_bytes(workers: int) -> int:
    """All that an area may ever take; what no client has touched costs nothing."""
    return HEAD + GROUPS * _group_bytes(workers)


def _group_bytes(workers: int) -> int:
    return WAYS * (3 * WORD + COUNT * workers)


def ahead_of(interval_ns: int, slack_ns: int, per_day: int, workers: int) -> int:
    """How many requests of a client a worker may count at once, so that most need no look here.

    What it has counted and not served is at most a fortieth of the burst, or of the day, over all
    workers: so much too little or too late a client may get. Small quotas are counted one by one.
    """
    bounds = [per_day] if per_day else []
    if interval_ns:
        bounds.append(slack_ns // interval_ns + 1)
    return min(max(min(bounds, default=0) // (AHEAD_PART * workers), 1), AHEAD_MAX)


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

    def __init__(self, fd: int, worker: int = 0, paid: dict[bytes, int] | None = None) -> None:
        """``worker``: which of those the area was made for; the only one that counts there.

        ``paid``: requests of clients that it has counted ahead and not served, filled by `pay`.
        """
        head = os.pread(fd, 2 * WORD, 0)
        self.secret = int.from_bytes(head[:WORD], "little")
        """Of this router, for hashes that clients must not be able to foresee."""
        self._workers = int.from_bytes(head[WORD:], "little")
        self._worker = worker
        self._map = mmap.mmap(fd, area_bytes(self._workers))
        self._group = _group_bytes(self._workers)
        self._words = memoryview(self._map).cast("Q")
        self._counts = memoryview(self._map).cast("I")
        self._today = 0
        self._look_ns = 0
        """When the day is looked up again, monotonic nanoseconds."""
        self.paid = {} if paid is None else paid
        self.forgotten = 0
        """Clients that had to give way although they had asked something today."""

    def ahead(self, interval_ns: int, slack_ns: int, per_day: int) -> int:
        """See :func:`ahead_of`."""
        return ahead_of(interval_ns, slack_ns, per_day, self._workers)

    def wait_s(
        self, client: bytes, interval_ns: int, slack_ns: int, per_day: int, many: int = 1
    ) -> int:
        """0: the request is admitted and counted. Else the whole seconds until one may be.

        Args:
            client: Who asks, of which route.
            interval_ns: Between two requests at the quota's rate; 0: it has none.
            slack_ns: How far ahead of that a client may be: ``interval_ns * (burst - 1)``.
            per_day: Requests in a day of UTC; 0: without a bound.
            many: Counted together, as one request of that size.
        """
        number = xxhash.xxh64_intdigest(client, self.secret) or 1
        begin = HEAD + number % GROUPS * self._group
        place = self._map.find(number.to_bytes(WORD, "little"), begin, begin + _WHO_BYTES)
        if place < 0 or place % WORD:
            place = self._enter(number, begin, self._today)
        counts, workers, words = self._counts, self._workers, self._words
        since, day = place // WORD + _SINCE, place // WORD + _DAY
        first = begin // COUNT + _COUNTED * 2 + (place - begin) // WORD * workers
        asked = counts[first]
        for at in range(first + 1, first + workers):
            asked += counts[at]
        begun_ns = words[since]
        # Behind what it is compared with: a worker that is held up in between must not take what
        # the others have counted meanwhile for more than anybody may ask, and begin anew.
        now_ns = time.monotonic_ns()
        if now_ns >= self._look_ns:
            self._look_at_the_calendar(now_ns)
        today = self._today
        if interval_ns:
            spent_ns = asked * interval_ns
            ahead_ns = (begun_ns + spent_ns - now_ns + _HALF) % _WHOLE - _HALF
            # Further ahead than its quota lets anybody come it is by a policy before this one: it
            # begins anew, like one that has waited until its bucket was full.
            if not 0 <= ahead_ns <= slack_ns + RACES * interval_ns:
                words[since] = (now_ns - spent_ns) % _WHOLE
            else:
                over_ns = ahead_ns + (many - 1) * interval_ns - slack_ns
                if over_ns > 0:
                    return -(-over_ns // 1_000_000_000)
        word = words[day]
        if word >> 40 != today or asked < word & _START:  # a new day, or counts that came round
            word = words[day] = today << 40 | asked
        if per_day and asked + many - (word & _START) > per_day:
            return DAY_S - int(time.time()) % DAY_S
        mine = first + self._worker
        counts[mine] = (counts[mine] + many) & _COUNTS
        return 0

    def pay(self, client: bytes, number: int) -> None:
        """So many of its next requests are counted already."""
        if len(self.paid) >= PAID_MAX:
            self.paid.clear()
        self.paid[client] = number

    def _look_at_the_calendar(self, now_ns: int) -> None:
        """Which day it is; looked up every second, for the wall clock may be set."""
        self._today = int(time.time()) // DAY_S
        self._look_ns = now_ns + LOOK_EVERY_NS

    def _enter(self, number: int, begin: int, today: int) -> int:
        """The place (in bytes) of a client that has none, in the group that begins there."""
        words, first = self._words, begin // WORD
        group = words[first : first + WAYS].tolist()
        if 0 in group:
            way = group.index(0)  # nobody was there: all its words are zero
        else:
            way = min(range(WAYS), key=lambda one: self._used(begin, one, today))
            self.forgotten += self._used(begin, way, today) > 0
            for at in self._counters(begin, way):
                self._counts[at] = 0
            words[first + _SINCE + way] = words[first + _DAY + way] = 0
        words[first + way] = number
        return begin + way * WORD

    def _counters(self, begin: int, way: int) -> range:
        first = (begin + _COUNTED * WORD) // COUNT + way * self._workers
        return range(first, first + self._workers)

    def _used(self, begin: int, way: int, today: int) -> int:
        """What a client has asked today, which it would lose."""
        word = self._words[begin // WORD + _DAY + way]
        if word >> 40 != today:
            return 0
        asked = sum(self._counts[at] for at in self._counters(begin, way))
        return max(asked - (word & _START), 0)

    def __repr__(self) -> str:
        return f"<QuotaArea {PLACES} places, {self.forgotten} forgotten>"
