"""The log's messages in the reader: what is told of it, what it answers, what it says by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

import xxhash

from router.config.payloads import payload
from router.core.logged.terms import KeyedFeed
from router.core.wire.origin import ORIGINS_MAX, Origin
from router.core.wire.sampled import Sampled
from router.core.words import FULL_BP
from router.link.reading import (
    CopyAnswer,
    Logging,
    LogState,
    Ripened,
    TellTruths,
    TruthsTold,
    encode,
)
from router.reader.book import BookError
from router.reader.keeper import STROKE_S, LogKeeper
from router.reader.log_rows import PERSON_CHARS_MAX, RouteRows, person_of, plain

STATE_S: Final = 1.0
"""How often it says how the log stands."""
RIPENED_MAX: Final = 500
"""Matured predictions of one message."""


class Clerk:
    """See the module. ``clock``: seconds since 1970."""

    def __init__(
        self, keeper: LogKeeper | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.keeper = keeper or LogKeeper()
        self._clock = clock
        self._rows: dict[str, RouteRows] = {}
        self._feeds: dict[str, list[KeyedFeed]] = {}
        """By the route that is fed."""
        self._stated = 0.0

    def __repr__(self) -> str:
        return f"<Clerk {self.keeper!r}>"

    @property
    def wait_s(self) -> float | None:
        """Within which something is to be done, whatever is told; None: nothing is."""
        return None if self.keeper.idle else STROKE_S

    def close(self) -> None:
        """Write what waits for a stroke, and let go of the table."""
        self.keeper.stroke(self._clock())
        self.keeper.close()

    def said(self, message: Logging | CopyAnswer | TellTruths) -> bytes:
        """The bytes of the answer; whatever happens, it does not raise."""
        if isinstance(message, TellTruths):
            return encode(self._told(message))
        try:
            if isinstance(message, Logging):
                for one in message.terms.routes:
                    payload(one.payload)  # imports one of another package
                self.keeper.settle(message.terms, self._clock(), message.after)
                self._rows = {
                    one.route: RouteRows(one, self.keeper.digest) for one in message.terms.routes
                }
                self._feeds = {}
                for feed in message.terms.feeds:
                    self._feeds.setdefault(feed.fed, []).append(feed)
            else:
                self._copied(message)
        except Exception as error:  # noqa: BLE001 - as in the reader's loop: foreign bytes
            self.keeper.error = type(error).__name__
        return b""

    def _told(self, message: TellTruths) -> TruthsTold:
        try:
            taken = self.keeper.receive(message.truths, self._clock())
        except BookError as error:
            return TruthsTold(message.number, (), str(error))
        except Exception as error:  # noqa: BLE001 - as above
            return TruthsTold(message.number, (), type(error).__name__)
        return TruthsTold(message.number, tuple(one.value for one in taken))

    def made(self, sample: Sampled) -> tuple[Origin, ...]:
        """Which draws of other routes made its input: as its baggage says, or by the key.

        Raises nothing.
        """
        feeds = self._feeds.get(sample.route)
        if not feeds or sample.cut:
            return sample.made
        try:
            found = [*sample.made, *self._keyed(feeds, sample)]
        except Exception as error:  # noqa: BLE001 - as above
            self.keeper.error = type(error).__name__
            return sample.made
        return tuple(found[:ORIGINS_MAX])

    def _keyed(self, feeds: list[KeyedFeed], sample: Sampled) -> Iterator[Origin]:
        asked, now = plain(sample.request, sample.request_coding), self._clock()
        for feed in feeds:
            person = person_of(asked, feed.path)
            if not 0 < len(person) <= PERSON_CHARS_MAX:
                continue
            if (origin := self.keeper.maker(feed, person, sample.at, now)) is not None:
                yield origin

    def sampled(self, sample: Sampled) -> None:
        """Keep a request of a client, if its route's rules say so; raises nothing."""
        rows = self._rows.get(sample.route)
        if rows is None or not _chosen(sample.request_id, rows.rules.sample_bp):
            return
        try:
            now = self._clock()
            if sample.payload:
                payload(sample.payload)  # as of routes
            if rows.rules.again_s:
                self.keeper.asked(sample, rows.rules.again_s, now)
            self.keeper.add(rows.of_sample(sample), now)
        except Exception as error:  # noqa: BLE001 - as above
            self.keeper.error = type(error).__name__

    def _copied(self, copied: CopyAnswer) -> None:
        rows = self._rows.get(copied.route)
        if rows is not None and _chosen(copied.request_id, rows.rules.sample_bp):
            self.keeper.add(rows.of_copy(copied), self._clock())

    def due(self) -> bytes:
        """What it has to say by itself now."""
        if self.keeper.idle and not self._stated:
            return b""
        now = self._clock()
        try:
            matured = self.keeper.turn(now)
        except Exception as error:  # noqa: BLE001 - as above
            matured, self.keeper.error = [], type(error).__name__
        said = b"".join(
            encode(Ripened(tuple(matured[at : at + RIPENED_MAX])))
            for at in range(0, len(matured), RIPENED_MAX)
        )
        if abs(now - self._stated) >= STATE_S:
            self._stated = 0.0 if self.keeper.idle else now
            said += encode(self._state())
        return said

    def _state(self) -> LogState:
        keeper = self.keeper
        lags = {
            route: (lag.total, lag.quantile(0.5) or 0.0, lag.quantile(0.95) or 0.0)
            for route, lag in keeper.lags.items()
        }
        return LogState(
            keeper.written, dict(keeper.dropped), keeper.counts(), lags, keeper.unknown,
            tuple(keeper.unknown_ids), keeper.error,
        )  # fmt: skip


def _chosen(request_id: str, share_bp: int) -> bool:
    """A coin of the id: a request and its copies are kept together or not at all."""
    return share_bp >= FULL_BP or xxhash.xxh64_intdigest(request_id.encode()) % FULL_BP < share_bp
