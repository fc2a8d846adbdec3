"""A recording that somebody has changed, clumsily or with every seal renewed."""

from __future__ import annotations

import json

from router.control.rollouts.recording import digest, sealed, unsealed

ALWAYS_TOLD = frozenset({"a line less", "a time", "no line"})
"""What must be seen, whatever the line is about; the others have new seals."""


def tampered(lines, chance):
    """(way, lines)."""
    at = chance.randrange(1, len(lines) - 1)
    way = chance.choice((*sorted(ALWAYS_TOLD), *_RESEALED))
    if way == "a line less":
        return way, lines[:at] + lines[at + 1 :]
    if way == "a time":
        return way, [*lines[:at], lines[at].replace(b'"t":', b'"t":1', 1), *lines[at + 1 :]]
    if way == "no line":
        return way, [*lines[:at], b"{}\n", *lines[at + 1 :]]
    return way, list(_resealed(lines, _RESEALED[way], at))


def _resealed(lines, change, first):
    before = ""
    for number, line in enumerate(lines):
        content = unsealed(line)[0]
        told = json.loads(content)
        if number >= first and change(told):
            content = json.dumps(told).encode()
            change = _nothing
        before = digest(before, content)
        yield sealed(content, before)


def _nothing(_told):
    return False


def _reason(told):
    if told["kind"] == "decide":
        told["entry"]["reason"] += "!"
    return told["kind"] == "decide"


def _numbers(told):
    found = told["kind"] == "decide" and bool(told["entry"]["evidence"])
    if found:
        told["entry"]["evidence"]["samples"] = -1
    return found


def _place(told):
    found = told["kind"] == "decide" and told["rollout"] is not None
    if found:
        told["rollout"]["step"] += 1
    return found


def _word(told):
    told["kind"] = "so it was"
    return True


def _unknown(told):
    if told["kind"] in ("turn", "follow"):
        told["revision"] = 0
    return told["kind"] in ("turn", "follow")


def _another_cause(told):
    found = told["kind"] == "decide" and told["cause"] is not None
    if found:
        told["cause"] = ["Promote", {"actor": "eve", "reason": ""}]
    return found


_RESEALED = {
    "a reason": _reason, "its numbers": _numbers, "a place": _place, "a kind": _word,
    "a revision": _unknown, "a cause": _another_cause,
}  # fmt: skip
