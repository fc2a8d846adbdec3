"""Flagger's webhooks as our hooks, point by point."""

from __future__ import annotations

import re
from typing import Any, Final

from router.config.problems import Path
from router.core.policy.hooks import Asked, Check
from router.core.policy.points import HOOKS, HOOKS_MAX
from router.core.quantities import parse_duration
from router.core.urls import checked_url
from router.importing.draft import Draft
from router.importing.manifest import Manifest, seconds_text
from router.importing.written import WrittenHook

TIMEOUT_S_MAX: Final = 300.0
RETRIES_MAX: Final = 10
INTERVAL_S_MIN: Final = 1.0
METADATA_MAX: Final = 64
NAME_CHARS_MAX: Final = 60

_UNNAMED = re.compile(r"[^A-Za-z0-9._-]+")


def add_hooks(canary: Manifest, draft: Draft, base: Path) -> None:
    """Every webhook of an analysis. Without a type it is a ``rollout`` hook, as there."""
    interval = seconds_text(canary.get(*base, "interval", default="60s")) or "60s"
    threshold = canary.get(*base, "threshold", default=1)
    for index, hook in enumerate(canary.items(*base, "webhooks")):
        here = (*base, "webhooks", index)
        kind = str(hook.get("type", "rollout")) if isinstance(hook, dict) else "?"
        point = kind.replace("-", "_")
        if point not in HOOKS:
            canary.note(here, f"is a {kind} hook, a point that is not known here")
            continue
        url = str(canary.take(*here, "url", default=""))
        try:
            checked_url(url)
        except ValueError as why:
            canary.note(here, f"cannot be called: {why}")
            continue
        if len(draft.hooks) >= HOOKS_MAX:
            canary.note(here, f"is left out: there are at most {HOOKS_MAX} hooks here")
            continue
        canary.taken.add((*here, "type"))
        settings: WrittenHook = {"name": _name(canary, here, draft, point), "url": url}
        settings |= _settings(canary, here)
        if issubclass(HOOKS[point], Asked) and parse_duration(interval) >= INTERVAL_S_MIN:
            settings["interval"] = interval
        if issubclass(HOOKS[point], Check) and isinstance(threshold, int) and threshold > 0:
            settings["failure_limit"] = threshold - 1  # there the n-th failure rolls back
        draft.hooks.append({point: settings})
    if draft.hooks:
        draft.notes.append(
            "hooks: the body of a call is another one (route, rollout, step, weight_bp, reason, "
            "metadata ...), answers mean the same"
        )


def _name(canary: Manifest, here: Path, draft: Draft, point: str) -> str:
    """Its name in the letters of ours; equal ones are numbered."""
    plain = _UNNAMED.sub("-", canary.text(*here, "name", default=point)).strip("._-") or point
    known = {settings["name"] for hook in draft.hooks for settings in hook.values()}
    plain = plain[:NAME_CHARS_MAX]
    numbered = (f"{plain}-{number}" for number in range(2, HOOKS_MAX + 2))
    return plain if plain not in known else next(one for one in numbered if one not in known)


def _settings(canary: Manifest, here: Path) -> WrittenHook:
    made: WrittenHook = {}
    if timeout := seconds_text(canary.take(*here, "timeout", default="")):
        if 0 < parse_duration(timeout) <= TIMEOUT_S_MAX:
            made["timeout"] = timeout
        else:
            canary.note((*here, "timeout"), "is not within 5m; it became the default one, 10s")
    retries = canary.take(*here, "retries")
    if isinstance(retries, int) and retries >= 0:
        made["retries"] = min(retries, RETRIES_MAX)
    metadata = canary.take(*here, "metadata", default={})
    if isinstance(metadata, dict) and len(metadata) <= METADATA_MAX:
        kept = {str(key): _literal(value) for key, value in metadata.items()}
        if kept:
            made["metadata"] = kept
    else:
        canary.note((*here, "metadata"), f"is no mapping of at most {METADATA_MAX} texts")
    if canary.take(*here, "muteAlert", default=False) is True:
        made["mute_alert"] = True
    if canary.take(*here, "disableTLS", default=False):
        canary.note((*here, "disableTLS"), "has no counterpart: certificates are always verified")
    return made


def _literal(value: Any) -> str:
    """Text that the policy does not expand."""
    return str(value).replace("${", "$${")
