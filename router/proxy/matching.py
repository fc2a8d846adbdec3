"""Which route takes a request: the first in the policy's order whose conditions all hold.

A linear walk over 1,000 routes costs more than the rest of the request, so routes are found by
their path: exact ones in a dictionary, prefixes in one dictionary per length. The candidates of a
(host, path) are remembered; real traffic has few distinct ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, Generic, Protocol, TypeVar
from urllib.parse import parse_qsl

from router.core.expressions import whole
from router.core.foreign import REQUEST, Unreadable, at_path, read
from router.core.payloads import Beyond, unpacked
from router.core.wire.table import MatchEntry, MatchKind, ValueEntry
from router.http1 import RequestHead

REMEMBERED_MAX: Final = 4_096
"""Distinct (host, path) whose candidates are remembered; the memory starts anew when full."""
REMEMBERED_BYTES_MAX: Final = 256
"""Longer hosts, paths and queries are understood anew each time: memory would be theirs."""
QUERY_FIELDS_MAX: Final = 100
"""Query fields looked at."""
REGEX_CHARS_MAX: Final = 4_096
"""A longer value matches no regular expression: it bounds what one may cost."""


class HasMatch(Protocol):
    """What an index holds."""

    @property
    def match(self) -> MatchEntry:
        """Its conditions."""


Item = TypeVar("Item", bound=HasMatch)
Condition = Callable[[RequestHead], bool]


class RouteIndex(Generic[Item]):
    """Items by their conditions; immutable."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._exact: dict[bytes, list[int]] = {}
        self._prefixes: dict[int, dict[bytes, list[int]]] = {}
        self._items = [(item, conditions(item.match)) for item in items]
        for order, item in enumerate(items):
            path = item.match.path.encode()
            if path.endswith(b"*"):
                stem = path[:-1]
                self._prefixes.setdefault(len(stem), {}).setdefault(stem, []).append(order)
            else:
                self._exact.setdefault(path, []).append(order)
        self._remembered: dict[tuple[bytes, bytes], tuple[tuple[Item, Condition | None], ...]] = {}

    def replacing(self, items: dict[int, Item]) -> RouteIndex[Item] | None:
        """This index with other items at some places; None where one has another path."""
        if any(item.match.path != self._items[i][0].match.path for i, item in items.items()):
            return None
        index: RouteIndex[Item] = RouteIndex(())
        index._exact, index._prefixes = self._exact, self._prefixes
        index._items = list(self._items)
        for i, item in items.items():
            index._items[i] = (item, conditions(item.match))
        return index

    def find(self, head: RequestHead) -> Item | None:
        """The first item that takes the request."""
        candidates = self._remembered.get((head.host, head.path))
        if candidates is None:
            candidates = self._candidates(head.host, head.path)
        for item, condition in candidates:
            if condition is None or condition(head):
                return item
        return None

    def all(self, head: RequestHead) -> Iterator[Item]:
        """Every item that takes the request but for its body conditions, in order."""
        candidates = self._remembered.get((head.host, head.path))
        if candidates is None:
            candidates = self._candidates(head.host, head.path)
        for item, condition in candidates:
            if condition is None or condition(head):
                yield item

    def find_with(self, head: RequestHead, document: BodyDocument) -> Item | None:
        """The first item whose body conditions hold too; those without any always do."""
        for item in self.all(head):
            if body_matches(item.match.body, document):
                return item
        return None

    def _candidates(self, host: bytes, raw: bytes) -> tuple[tuple[Item, Condition | None], ...]:
        path = plain_path(raw)
        found = list(self._exact.get(path, ()))
        for length, stems in self._prefixes.items():
            if length <= len(path):
                found += stems.get(path[:length], ())
        name = bare_host(host)
        candidates = tuple(
            self._items[order]
            for order in sorted(found)
            if host_matches(self._items[order][0].match.host, name)
        )
        if len(host) + len(raw) <= REMEMBERED_BYTES_MAX:
            if len(self._remembered) >= REMEMBERED_MAX:
                self._remembered.clear()
            self._remembered[host, raw] = candidates
        return candidates


def plain_path(path: bytes) -> bytes:
    """A path with its percent-encoded unreserved characters as themselves (RFC 3986 6.2.2.2).

    ``/%70redict`` is ``/predict`` to every service, so to every rule. Only compared by:
    what is forwarded stays as it came.
    """
    return _ENCODED.sub(_decoded, path) if b"%" in path else path


_ENCODED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset(
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
)


def _decoded(match: re.Match[bytes]) -> bytes:
    byte = int(match[1], 16)
    return bytes((byte,)) if byte in _UNRESERVED else match[0]


def bare_host(host: bytes) -> str:
    """Lower-case host without port or brackets' port: ``[::1]:80`` -> ``[::1]``.

    A name with its trailing dot is the same name (RFC 3986 section 3.2.2).
    """
    name = host.decode("latin-1").lower()
    if name.endswith("]"):
        return name
    bare, colon, port = name.rpartition(":")
    return (bare if colon and port.isascii() and port.isdigit() else name).removesuffix(".")


def host_matches(pattern: str, name: str) -> bool:
    """``*.example.org`` matches any name below it; an empty pattern matches all."""
    if pattern.startswith("*."):
        return name.endswith(pattern[1:]) and len(name) > len(pattern) - 1
    return not pattern or name == pattern


def conditions(match: MatchEntry) -> Condition | None:
    """Everything but host, path and body as one function; None when there is nothing to ask."""
    asked: list[Condition] = []
    if match.methods:
        methods = frozenset(method.encode() for method in match.methods)
        asked.append(lambda head: head.method in methods)
    asked += [_header(value) for value in match.headers]
    asked += [_query(value) for value in match.query]
    asked += [_cookie(value) for value in match.cookies]
    if not asked:
        return None
    if len(asked) == 1:
        return asked[0]
    return lambda head: all(condition(head) for condition in asked)


def _header(wanted: ValueEntry) -> Condition:
    name, test = wanted.name.lower().encode(), value_test(wanted)
    return lambda head: (first := head.get(name)) is not None and test(first.decode("latin-1"))


def _query(wanted: ValueEntry) -> Condition:
    test = value_test(wanted)

    def holds(head: RequestHead) -> bool:
        read = query_of if len(head.query) <= REMEMBERED_BYTES_MAX else query_of.__wrapped__
        value = next((value for name, value in read(head.query) if name == wanted.name), None)
        return value is not None and test(value)

    return holds


def _cookie(wanted: ValueEntry) -> Condition:
    test = value_test(wanted)

    def holds(head: RequestHead) -> bool:
        value = cookie_of(head, wanted.name)
        return value is not None and test(value)

    return holds


def value_test(wanted: ValueEntry) -> Callable[[str], bool]:
    """The comparison a condition asks for. The policy loader has compiled the expression once."""
    value = wanted.value
    if wanted.kind is MatchKind.EXACT:
        return lambda text: text == value
    if wanted.kind is MatchKind.PREFIX:
        return lambda text: text.startswith(value)
    if wanted.kind is MatchKind.SUFFIX:
        return lambda text: text.endswith(value)
    if wanted.kind is MatchKind.REGEX:
        matches = whole(value)
        return lambda text: len(text) <= REGEX_CHARS_MAX and matches(text)
    return lambda _text: True


@lru_cache(maxsize=1_024)
def query_of(query: bytes) -> tuple[tuple[str, str], ...]:
    """Decoded fields of a query string; none when there are too many."""
    try:
        pairs = parse_qsl(
            query.decode("latin-1"), keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX
        )
    except ValueError:
        return ()
    return tuple(pairs)


def cookie_of(head: RequestHead, name: str) -> str | None:
    """Value of the first cookie of this name, or None."""
    wanted = name.encode()
    for field in head.get_all(b"cookie"):
        for pair in field.split(b";"):
            key, equals, value = pair.strip(b" \t").partition(b"=")
            if equals and key == wanted:
                return value.decode("latin-1")
    return None


class BodyDocument:
    """A request's body as JSON: read at most once, and only when a condition or a key asks."""

    __slots__ = ("_body", "_coding", "_most", "_value", "unread")

    def __init__(self, body: bytes, coding: bytes = b"", most: int = 0) -> None:
        """``coding``: its Content-Encoding, undone as far as ``most`` bytes."""
        self._body: bytes | None = body
        self._coding = coding
        self._most = most
        self._value: Any = None
        self.unread = False
        """There is a body, and it cannot be read: cut off, none of JSON, or coded otherwise."""

    @property
    def value(self) -> Any:
        """All of it; None where there is none, or it cannot be read."""
        if self._body is not None:
            body, self._body = self._body, None
            if body:
                try:
                    if self._coding:
                        body = unpacked(body, self._coding.decode("latin-1"), self._most)
                    self._value = read(body, REQUEST)
                except (Beyond, Unreadable):
                    self.unread = True
        return self._value

    def field(self, path: str) -> str | None:
        """The scalar at a dotted path as text, or None; lists take numbers."""
        return at_path(self.value, path)


NO_DOCUMENT: Final = BodyDocument(b"")


def body_matches(wanted: Sequence[ValueEntry], document: BodyDocument) -> bool:
    """Whether every condition on body fields holds."""
    for one in wanted:
        value = document.field(one.name)
        if value is None or not value_test(one)(value):
            return False
    return True
