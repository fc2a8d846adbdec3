"""Who is told: Argo's notification annotations and Flagger's alerts as our alerts.

Both keep the addresses of chats elsewhere (a secret, a config map), so most alerts ask for a URL in
the environment; until it is set, `rampway check` says so with the line.
"""

from __future__ import annotations

import re
from typing import Final

from router.config.problems import Path
from router.core.policy.hooks import SEVERITIES
from router.importing.draft import Draft
from router.importing.manifest import Manifest

SUBSCRIPTION: Final = "notifications.argoproj.io/subscribe."
SETTINGS: Final = "argo-rollouts-notification-configmap"

TRIGGERS: Final[dict[str, tuple[str, ...]]] = {
    "on-rollout-updated": ("started",),
    "on-rollout-step-completed": ("step_completed",),
    "on-rollout-paused": ("paused", "approval_needed"),
    "on-rollout-aborted": ("aborted", "rolled_back"),
    "on-rollout-completed": ("completed",),
    "on-analysis-run-failed": ("rolled_back",),
    "on-analysis-run-error": ("held",),
}
"""What Argo's triggers are here. An analysis that failed takes the candidate back, one that could
not ask holds it."""

CHATS: Final = ("slack", "mattermost", "rocket", "rocketchat")
"""Services that read what Slack's incoming webhooks read."""

_URL = re.compile(r"^url:\s*['\"]?(https?://[^\s'\"]+)", re.MULTILINE)


def add_subscriptions(rollout: Manifest, others: list[Manifest], draft: Draft) -> None:
    """The alerts of a Rollout's annotations, one for each service and recipient."""
    found: dict[tuple[str, str], list[str]] = {}
    for key, value in rollout.entries("metadata", "annotations").items():
        path = ("metadata", "annotations", str(key))
        if not str(key).startswith("notifications.argoproj.io/"):
            continue
        trigger, _, service = str(key).removeprefix(SUBSCRIPTION).partition(".")
        if not str(key).startswith(SUBSCRIPTION) or not service:
            rollout.note(path, "subscribes to default triggers; write an alert for it")
        elif trigger not in TRIGGERS:
            rollout.note(path, f"names the trigger {trigger}, which has no counterpart")
        elif _kind(service, others) is None:
            rollout.note(path, f"tells {service}; a webhook of yours can pass it on")
        else:
            for recipient in str(value or "").split(";"):
                found.setdefault((service, recipient.strip()), []).extend(TRIGGERS[trigger])
    for (service, recipient), on in found.items():
        url = _kind(service, others)
        address = url or _wanted(draft, f"incoming webhook of {service} {recipient}")
        kind = "webhook" if url else "slack"
        draft.alerts.append({"kind": kind, "url": address, "on": list(dict.fromkeys(on))})


def _kind(service: str, others: list[Manifest]) -> str | None:
    """URL of a webhook service; empty for a chat; None for what is neither."""
    if service in CHATS:
        return ""
    for other in others:
        if other.get("kind") == "ConfigMap" and other.get("metadata", "name") == SETTINGS:
            match = _URL.search(str(other.get("data", f"service.webhook.{service}", default="")))
            if match:
                return match[1].replace("${", "$${")
    return None


def add_alerts(canary: Manifest, others: list[Manifest], draft: Draft, base: Path) -> None:
    """The alerts of an analysis, with their providers where those are in the file."""
    for index, alert in enumerate(canary.items(*base, "alerts")):
        here = (*base, "alerts", index)
        name = str(canary.take(*here, "providerRef", "name", default="?"))
        canary.take(*here, "providerRef")
        canary.take(*here, "name")
        severity = canary.take(*here, "severity", default="info")
        provider = _provider(name, others)
        kind = str(provider.get("spec", "type", default="?")) if provider else "?"
        if provider is not None and kind not in CHATS:
            canary.note(here, f"tells {kind}; a webhook of yours can pass it on")
            continue
        if not isinstance(alert, dict) or severity not in SEVERITIES:
            canary.note(here, "has a severity that is not understood")
            continue
        address = str(provider.get("spec", "address", default="")) if provider else ""
        if not address.startswith(("http://", "https://")):
            address = _wanted(draft, f"incoming webhook of provider {name}")
        draft.alerts.append({"kind": "slack", "url": address, "severity": severity})


def _provider(name: str, others: list[Manifest]) -> Manifest | None:
    for other in others:
        if other.get("kind") == "AlertProvider" and other.get("metadata", "name") == name:
            return other
    return None


def _wanted(draft: Draft, what: str) -> str:
    """A variable for an address that is not in the file."""
    number = sum(alert["url"].startswith("${") for alert in draft.alerts) + 1
    variable = "RAMPWAY_ALERT_URL" + (f"_{number}" if number > 1 else "")
    draft.notes.append(f"alerts: set {variable} to the {what}")
    return f"${{{variable}}}"
