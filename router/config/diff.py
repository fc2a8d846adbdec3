"""What an edit of a policy changes, in sentences for the journal and for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import SecretStr

from router.core.policy import Policy, Route

Flat = dict[tuple[str, ...], Any]
"""Values of a policy by the words that lead to them."""

CHANGES_MAX = 100
"""Sentences of one edit; a larger edit is another policy."""


def diff(before: Policy, after: Policy) -> list[str]:
    """One sentence a change, in the order of the new file; empty if nothing changed in meaning.

    Comments, order of keys, spelling (``60s``, ``1m``) and defaults that are written out are no
    changes. Worked example: ``flights: canary step 3 weight: 25% -> 50%``. Secrets are compared
    but never shown.
    """
    old, new = _flat(before), _flat(after)
    changes = [*_changed(old, new), *_removed(old, new)]
    if len(changes) > CHANGES_MAX:
        return [*changes[:CHANGES_MAX], f"... and {len(changes) - CHANGES_MAX} more changes"]
    return changes


def consequences(before: Policy, after: Policy) -> list[str]:
    """What an edit does to rollouts that are live or have ended, a sentence each.

    Worked example: ``flights: a live rollout of v2 begins anew: all its endpoints changed``.
    """
    known = {route.name: route for route in before.routes}
    names = {route.name for route in after.routes}
    told: list[str] = []
    for route in after.routes:
        former = known.get(route.name)
        if former is None:
            if route.formerly in known and route.formerly not in names:
                told.append(f"{route.name}: goes on with the record of {route.formerly}")
        elif former.rollout is not None:
            told += filter(None, [_of_rollout(former, route)])
    return told


def _of_rollout(former: Route, route: Route) -> str:
    old, new = former.rollout, route.rollout
    if old is None:
        return ""
    candidate, live = old.candidate, f"{route.name}: a live rollout of {old.candidate}"
    if new is None:
        return f"{live} ends: the policy has it no more"
    if new.candidate != candidate:
        if new.on_new_candidate == "replace":
            return f"{live} is given up; {new.candidate} takes its place"
        return f"{live} goes on first; {new.candidate} waits for its end"
    if candidate not in former.versions or candidate not in route.versions:
        return ""
    one, other = former.versions[candidate], route.versions[candidate]
    if one.which != other.which:
        return f"{live} begins anew: its model changed"
    if not {*map(str, one.endpoints)} & {*map(str, other.endpoints)}:
        return f"{live} begins anew: all its endpoints changed"
    kept = old.model_dump(exclude={"alerts", "hooks"}) == new.model_dump(
        exclude={"alerts", "hooks"}
    )
    return (
        "" if kept else f"{live} keeps the plan it began with; the edit holds from the next one on"
    )


def _changed(old: Flat, new: Flat) -> Iterator[str]:
    told: set[tuple[str, ...]] = set()
    for path, value in new.items():
        if path in old:
            if old[path] != value:
                yield f"{_words(path)}: {_shown(old[path])} -> {_shown(value)}"
            continue
        part = _new_part(path, old)
        if part not in told:
            told.add(part)
            yield (
                f"{_words(part)}: {_shown(value)} added"
                if part == path
                else f"{_words(part)} added"
            )


def _removed(old: Flat, new: Flat) -> Iterator[str]:
    told: set[tuple[str, ...]] = set()
    for path in old:
        if path not in new and (part := _new_part(path, new)) not in told:
            told.add(part)
            yield f"{_words(part)} removed"


def _new_part(path: tuple[str, ...], other: Flat) -> tuple[str, ...]:
    """The shortest beginning of `path` that the other policy does not have."""
    for length in range(1, len(path)):
        if not any(known[:length] == path[:length] for known in other):
            return path[:length]
    return path


_SILENT = ("routes", "versions", "rollout", "strategy", "gates", "steps")
"""Words that say nothing besides what follows them."""


def _words(path: tuple[str, ...]) -> str:
    scope = f"{path[1]}: " if path[0] == "routes" and len(path) > 1 else ""
    rest = path[2:] if scope else path
    if scope and not rest:
        return f"route {path[1]}"
    kinds = {"versions": "version", "steps": "step", "gates": "gate", "strategy": ""}
    words = []
    for before, part in zip(("", *rest), rest, strict=False):
        if part in _SILENT and part != rest[-1]:
            continue
        kind = kinds.get(before, "")
        words.append(f"{kind} {part}" if kind else part)
    return scope + " ".join(words)


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return "(secret)"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    return str(value)


def _flat(policy: Policy) -> Flat:
    flat: Flat = {}
    _walk(policy.model_dump(mode="json"), policy.model_dump(), (), flat)
    return flat


def _walk(written: Any, value: Any, path: tuple[str, ...], flat: Flat) -> None:
    """`written` and `value` have one shape; the first has people's spelling, the second secrets."""
    if isinstance(value, SecretStr):
        flat[path] = value
    elif isinstance(written, dict) and written:
        for key, inner in written.items():
            _walk(inner, value[key], (*path, str(key)), flat)
    elif isinstance(written, list) and written and isinstance(written[0], dict):
        for name, inner, raw in _named(written, value):
            _walk(inner, raw, (*path, name), flat)
    else:
        flat[path] = written


def _named(written: list[Any], value: Any) -> Iterator[tuple[str, Any, Any]]:
    """Entries by name where they have one (routes, tokens), by kind (gates), else by number."""
    seen: dict[str, int] = {}
    for number, (inner, raw) in enumerate(zip(written, value, strict=True), 1):
        if "name" in inner:
            name, body, deep = str(inner["name"]), inner, raw
        elif len(inner) == 1:
            (name, body), (_, deep) = next(iter(inner.items())), next(iter(raw.items()))
            name = (body or {}).get("name") or name
        else:
            name, body, deep = str(number), inner, raw
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name} {seen[name]}"), body, deep
