"""Clients that ask as those do who copy a model: the workers' counts added up, and said once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from router.core.cardinality import estimated, merged
from router.core.policy.quota import Extraction, NearThreshold
from router.core.quantities import format_duration
from router.core.wire.counts import ClientCounts
from router.core.words import FULL_BP, percent

CLIENTS_MAX: Final = 256
"""Clients of a route that are kept, each with the last word of every worker about it; of more, the
one that was told of longest ago is forgotten."""


class Extractions:
    """What workers said of busy clients in the window that runs."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, dict[int, ClientCounts]]] = {}
        self._told: dict[str, set[tuple[str, int, str]]] = {}

    def found(
        self, worker: int, counts: Iterable[ClientCounts],
        policy: Callable[[str], Extraction | None],
    ) -> Iterator[tuple[str, str]]:  # fmt: skip
        """(route, sentence) for each client that is over a limit and was not told of before."""
        for one in counts:
            extraction = policy(one.route)
            if extraction is None:
                self._seen.pop(one.route, None)
                self._told.pop(one.route, None)
                continue
            words = self._add(worker, one)
            for limit, text in _over(extraction, words):
                told = self._told.setdefault(one.route, set())
                if (one.client, one.window, limit) not in told:
                    if len(told) >= CLIENTS_MAX:
                        told.clear()
                    told.add((one.client, one.window, limit))
                    since = time.strftime(
                        "%Y-%m-%d %H:%M", time.gmtime(one.window * round(extraction.window))
                    )
                    window = format_duration(extraction.window)
                    yield one.route, f"{one.client}: {text} (since {since} UTC, window {window})"

    def _add(self, worker: int, one: ClientCounts) -> list[ClientCounts]:
        """The last word of every worker about this client in this window."""
        clients = self._seen.setdefault(one.route, {})
        words = clients.pop(one.client, {})
        if len(clients) >= CLIENTS_MAX:
            del clients[next(iter(clients))]
        words = {index: word for index, word in words.items() if word.window == one.window}
        words[worker] = one
        clients[one.client] = words
        return list(words.values())


def _over(extraction: Extraction, words: list[ClientCounts]) -> Iterator[tuple[str, str]]:
    """(limit, sentence) for each limit that a client is over."""
    if extraction.distinct is not None:
        registers = words[0].registers
        for word in words[1:]:
            registers = merged(registers, word.registers)
        distinct = round(estimated(registers))
        if distinct >= extraction.distinct:
            limit = f"limit {extraction.distinct:,}"
            yield "distinct", f"about {distinct:,} different inputs, {limit}"
    if extraction.near is not None:
        yield from _close(extraction.near, words)


def _close(near: NearThreshold, words: list[ClientCounts]) -> Iterator[tuple[str, str]]:
    answers, close = sum(word.answers for word in words), sum(word.near for word in words)
    if answers < near.answers or close * FULL_BP < near.share * answers:
        return
    share = percent(round(close * FULL_BP / answers))
    yield (
        "near",
        (
            f"{share} of {answers:,} answers that were read lay within {near.within:g} of "
            f"{near.threshold:g}, limit {percent(near.share)}"
        ),
    )
