"""What of a version's answers came from a cache or a table, for people.

Workers count it; here it is summed since this process began, and kept for the versions of the
policy in force.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec.structs import astuple

from router.control.told.view import View

if TYPE_CHECKING:  # client verbs read the answers and know nothing of what workers count
    from router.core.wire.counts import GivenCounts, RouteCounts


class CacheUse(View, frozen=True, kw_only=True):
    """Requests to a version of a route with `cache`, since this router began."""

    hits: int
    """Answered by an answer that it had given before."""
    waited: int
    """That waited for the answer to another one: the version was asked once for all of them."""
    asked: int
    """Whose answer could be kept."""
    passed: int
    """Whose answer is never kept: their method, a credential, a body that is too large."""


class TableUse(View, frozen=True, kw_only=True):
    """Requests and copies to a version with `table`, since this router began."""

    hits: int
    """That the table answered."""
    misses: int
    """Of which it has nothing: the model was asked."""
    stale: int
    """That found it too old, or not there: the model was asked."""


class Given:
    """The sums, by route and version."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], GivenCounts] = {}

    def __repr__(self) -> str:
        return f"<Given {len(self._sums)} versions>"

    def add(self, counts: Iterable[RouteCounts]) -> None:
        """Book one worker's counts."""
        for route in counts:
            for one in route.given:
                key = route.route, one.version
                known = self._sums.get(key)
                self._sums[key] = known.plus(one) if known is not None else one

    def keep_only(self, known: set[tuple[str, str]]) -> None:
        """Forget versions that left the policy."""
        self._sums = {key: one for key, one in self._sums.items() if key in known}

    def cache(self, route: str, version: str) -> CacheUse | None:
        """What a cache did for a version; None: nothing."""
        one = self._sums.get((route, version))
        if one is None:
            return None
        use = CacheUse(
            hits=one.cache_hits, waited=one.cache_waited, asked=one.cache_misses,
            passed=one.cache_passed,
        )  # fmt: skip
        return use if any(astuple(use)) else None

    def table(self, route: str, version: str) -> TableUse | None:
        """What became of questions to a version's table; None: nobody asked."""
        one = self._sums.get((route, version))
        if one is None:
            return None
        use = TableUse(hits=one.table_hits, misses=one.table_misses, stale=one.table_stale)
        return use if any(astuple(use)) else None
