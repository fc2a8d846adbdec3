"""The parts of a table that follow from the policy alone: no rollout, no record.

Tables are made of them in :mod:`router.control.rollouts.publish`.
"""

from __future__ import annotations

from dataclasses import replace

from router.control.rollouts.knobs import RESCUE
from router.core.policy import Match, Rescue, Route, Sticky, ValueMatch
from router.core.policy.answers import AnswersPolicy, FallbackPolicy, InputsPolicy
from router.core.policy.cache import CachePolicy
from router.core.policy.quota import Extraction, Quota
from router.core.policy.server import AccessLogPolicy, TracesPolicy
from router.core.policy.version import RequestEdit
from router.core.wire import table
from router.core.wire.edits import EditEntry
from router.core.wire.protection import (
    AnswersEntry,
    CacheEntry,
    ExtractionEntry,
    FallbackEntry,
    InputsEntry,
    QuotaEntry,
)
from router.core.wire.spans import AccessTerms, TraceTerms


def access_terms(logged: AccessLogPolicy | bool) -> AccessTerms | None:
    """Which requests are written to the access log, and how; None: none."""
    if isinstance(logged, bool):
        return AccessTerms() if logged else None
    return AccessTerms(common=logged.format == "common", share_bp=logged.sample)


def trace_terms(traced: TracesPolicy | None) -> TraceTerms | None:
    """Which requests are traced; None: none."""
    if traced is None:
        return None
    return TraceTerms(traced.sample, exported=traced.endpoint is not None)


def payload_paths(route: Route) -> tuple[tuple[str, str], ...]:
    """The longest first, an exact path before all below it."""
    paths = route.payload_paths
    longest = sorted(paths, key=lambda path: (-len(path.removesuffix("*")), path.endswith("*")))
    return tuple((path, paths[path]) for path in longest)


def quota_entry(quota: Quota) -> QuotaEntry:
    """Requests per second as the time between two, in ns."""
    interval_ns = round(1e9 / quota.rate) if quota.rate else 0
    slack_ns = interval_ns * (quota.at_once - 1)
    return QuotaEntry(quota.by.name, interval_ns, slack_ns, quota.per_day or 0)


def extraction_entry(extraction: Extraction) -> ExtractionEntry:
    """What one caller may ask before it is taken for one who copies the model."""
    near = extraction.near
    entry = ExtractionEntry(extraction.by.name, round(extraction.window), extraction.distinct or 0)
    if near is None:
        return entry
    return replace(
        entry, score=near.score, threshold=near.threshold, within=near.within,
        answers=near.answers,
    )  # fmt: skip


def inputs_entry(route: Route, inputs: InputsPolicy) -> InputsEntry:
    """What is refused before a version is asked, and who gets it instead."""
    refuse, review = inputs.refuse, inputs.then == "review"
    people = [index for index, name in enumerate(route.versions) if route.person(name)]
    return InputsEntry(
        types=tuple(refuse.type.items()),
        ranges=tuple((path, *bounds) for path, bounds in refuse.range.items()),
        required=refuse.missing,
        to_stable=inputs.then == "stable",
        people=people[0] if review and people else -1,
    )


def answers_entry(answers: AnswersPolicy) -> AnswersEntry:
    """What is taken from answers on their way out; -1 digits: nothing is rounded."""
    digits = -1 if answers.round is None else answers.round
    strict = answers.otherwise == "refuse"
    return AnswersEntry(digits, answers.drop, answers.limit, strict)


def cache_entry(cache: CachePolicy) -> CacheEntry:
    """Which answers are given again, and for how long."""
    vary = tuple(name.lower() for name in cache.vary)
    return CacheEntry(cache.ttl, cache.size, cache.answer, vary, cache.methods)


def fallback_entry(fallback: FallbackPolicy) -> FallbackEntry:
    """What is answered where no version could."""
    header = (fallback.by.header or "") if fallback.by else ""
    path = (fallback.by.json_path or "") if fallback.by else ""
    return FallbackEntry(
        fallback.status, fallback.content_type, fallback.answer, fallback.answers(),
        header.lower(), path,
    )  # fmt: skip


def edit_entry(edit: RequestEdit, stem: str) -> EditEntry:
    """What of a request is changed for a version; `stem` is the route's path without `*`."""
    headers = [(name, value.get_secret_value()) for name, value in edit.headers.items()]
    return EditEntry(edit.model or "", edit.path or "", stem, edit.host or "", tuple(headers))


def match_entry(match: Match) -> table.MatchEntry:
    """What a request must have; names of header fields in lower case."""
    return table.MatchEntry(
        host=match.host or "",
        path=match.path or "/*",
        methods=match.methods,
        headers=tuple(_value(name.lower(), value) for name, value in match.headers.items()),
        query=tuple(_value(name, value) for name, value in match.query.items()),
        cookies=tuple(_value(name, value) for name, value in match.cookies.items()),
        body=tuple(_value(name, value) for name, value in match.body.items()),
    )


def _value(name: str, value: ValueMatch) -> table.ValueEntry:
    for kind in (
        table.MatchKind.EXACT,
        table.MatchKind.PREFIX,
        table.MatchKind.SUFFIX,
        table.MatchKind.REGEX,
    ):
        wanted = getattr(value, kind.value)
        if wanted is not None:
            return table.ValueEntry(name, kind, wanted)
    return table.ValueEntry(name, table.MatchKind.PRESENT)


def sticky_entry(sticky: Sticky, salt: str) -> table.StickyEntry:
    """By what a client stays with a version; `salt` is the installation's."""
    if sticky.header is not None:
        return table.StickyEntry(table.StickyKind.HEADER, sticky.header.lower(), salt=salt)
    if sticky.cookie is not None:
        cookie = sticky.cookie
        secret = cookie.secret.get_secret_value()
        return table.StickyEntry(
            table.StickyKind.COOKIE, cookie.name, secret, int(cookie.max_age), cookie.attributes,
            salt,
        )  # fmt: skip
    return table.StickyEntry(table.StickyKind.BODY, sticky.json_path or "", salt=salt)


def rescue_entry(rescue: Rescue) -> table.RescueEntry:
    """After which failures another version is asked."""
    return RESCUE(
        rescue,
        statuses=tuple(status for status in rescue.on if isinstance(status, int)),
        **{what: what in rescue.on for what in ("timeout", "connect", "schema")},
    )
