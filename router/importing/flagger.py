"""A Flagger ``Canary`` (flagger.app) as one of our routes."""

from __future__ import annotations

import re
from typing import Any

from router.config.problems import Path, dotted
from router.core.quantities import format_duration, parse_duration, parse_share
from router.importing.alerts import add_alerts
from router.importing.draft import Draft
from router.importing.hooks import add_hooks
from router.importing.manifest import Manifest, mapping, seconds_text, share_text
from router.importing.written import (
    WrittenCanary,
    WrittenConditions,
    WrittenCookie,
    WrittenPlateau,
    WrittenRamp,
    WrittenSlo,
    WrittenStrategy,
    WrittenSwitch,
)

SUCCESS_RATE = ("request-success-rate", "istio_requests_total")
DURATION = ("request-duration", "istio_request_duration_seconds_bucket")
"""Flagger's built-in metrics, with their names before version 1.0."""

GUARD_BP = (1, 9_000)
"""Error rates a guard can have, basis points."""

WAYS = ("exact", "prefix", "suffix", "regex")
"""Ways of comparing a value that both know."""

SAME_SITE = ("strict", "none")
"""Theirs besides Lax, which is ours by default."""
ONE_COOKIE = re.compile(r"\^\(\.\*\?;\)\?\((\w+)=(\w+)\)\(;\.\*\)\?\$")
"""The regular expression that people write for one cookie, itself as one."""


def translate(canary: Manifest, others: list[Manifest]) -> Draft:
    """The route for a Canary; `others` are the documents beside it (alert providers)."""
    draft = Draft(canary.text("metadata", "name", default="imported"), "Flagger Canary")
    base: Path = ("spec", "analysis")
    if canary.get("spec", "canaryAnalysis") is not None:  # before v1beta1
        base = ("spec", "canaryAnalysis")
    _service(canary, draft)
    _strategy(canary, draft, base)
    _affinity(canary, draft, (*base, "sessionAffinity"))
    _metrics(canary, draft, base)
    add_hooks(canary, draft, base)
    add_alerts(canary, others, draft, base)
    for key, remark in (
        (
            "threshold",
            "is only for hooks here; evidence decides about the rest, with a bound on false alarms",
        ),
        ("primaryReadyThreshold", "is about pods, which the platform looks after"),
        ("canaryReadyThreshold", "is about pods, which the platform looks after"),
    ):
        if canary.get(*base, key) is not None:
            canary.note((*base, key), remark)
    if canary.take("spec", "skipAnalysis", default=False):
        canary.note(("spec", "skipAnalysis"), "is a command here: rampway promote --full")
    if canary.take("spec", "suspend", default=False):
        canary.note(("spec", "suspend"), "is a command here: rampway pause")
    return draft


def _service(canary: Manifest, draft: Draft) -> None:
    base: Path = ("spec", "service")
    name = canary.text(*base, "name") or draft.name
    namespace = canary.text("metadata", "namespace")
    domain = f".{namespace}" if namespace else ""
    port = canary.take(*base, "port", default=80)
    draft.stable_url = f"http://{name}-primary{domain}:{port}"
    draft.candidate_url = f"http://{name}-canary{domain}:{port}"
    hosts = [host for host in canary.items(*base, "hosts") if host != "*"]
    canary.taken.add((*base, "hosts"))
    if hosts:
        draft.match["host"] = str(hosts[0]).lower()
    if len(hosts) > 1:
        canary.note((*base, "hosts"), "names several hosts; a route has one, repeat it for others")
    prefix = canary.take(*base, "match", 0, "uri", "prefix")
    if isinstance(prefix, str) and prefix.startswith("/"):
        draft.match["path"] = f"{prefix}*"
    if timeout := seconds_text(canary.take(*base, "timeout", default="")):
        draft.timeouts["response"] = timeout
    about = "is about the mesh in front of the pods"
    for key in ("portName", "portDiscovery", "targetPort", "gateways", "gatewayRefs",
                "trafficPolicy", "apex", "primary", "canary", "appProtocol", "mirror"):  # fmt: skip
        if canary.get(*base, key) is not None:
            canary.note((*base, key), about)


def _strategy(canary: Manifest, draft: Draft, base: Path) -> None:
    interval = seconds_text(canary.take(*base, "interval", default="60s")) or "60s"
    iterations = canary.take(*base, "iterations")
    mirrored = canary.take(*base, "mirror", default=False)
    mirror = share_text(canary.take(*base, "mirrorWeight", default=100)) if mirrored else None
    first: list[WrittenPlateau] = [{"mirror": mirror, "hold": interval}] if mirror else []
    if isinstance(iterations, int):
        # Checks without weights: blue-green, or an A/B test where matches are given.
        hold = format_duration(parse_duration(interval) * iterations)
        switch: WrittenSwitch = {"mirror": mirror} if mirror else {}
        switch["hold"] = hold
        if not mirror:
            switch["approval"] = {}
        switch["bake"] = hold
        draft.strategy = {"blue_green": switch}
        _matches(canary, draft, base)
        if not mirror:
            remark = (
                "judges the preview by the cohort's or a load test's requests there; here those "
                "are no evidence, so a person says go on (or add mirror: 100%), and a bake judges"
            )
            canary.notes.append(f"line {canary.line(base)}: {dotted(base)} {remark}")
        return
    weights = canary.take(*base, "stepWeights")
    highest = share_text(canary.take(*base, "maxWeight", default=100)) or "100%"
    step = share_text(canary.take(*base, "stepWeight", default=0))
    if isinstance(weights, list):
        shares = [share_text(weight) for weight in weights]
        if None in shares:
            canary.note((*base, "stepWeights"), "has weights that are no whole shares")
        steps: list[WrittenPlateau] = [
            {"weight": share, "hold": interval} for share in shares if share
        ]
        draft.strategy = {"canary": {"steps": [*first, *steps]}}
    elif step and step != "0%":
        draft.strategy = _ramped(first, {"linear": {"step": step, "to": highest, "hold": interval}})
    else:
        canary.note(base, "has no weights; written as ramp: auto, where evidence decides")
        draft.strategy = _ramped(first, "auto")


def _ramped(first: list[WrittenPlateau], ramp: str | WrittenRamp) -> WrittenStrategy:
    canary: WrittenCanary = {"steps": first} if first else {}
    canary["ramp"] = ramp
    return {"canary": canary}


def _matches(canary: Manifest, draft: Draft, base: Path) -> None:
    """The conditions of an A/B test as rules."""
    matches = canary.items(*base, "match")
    for index, match in enumerate(matches):
        here = (*base, "match", index)
        conditions = _conditions(match)
        if conditions is None:
            canary.note(here, "has a condition that is not understood")
        else:
            canary.taken.add(here)
            draft.rules.append({"match": conditions, "version": "candidate"})
    if matches:
        remark = "became rules; a fixed choice is no evidence, so add steps with weights"
        canary.note((*base, "match"), remark)


def _conditions(match: Any) -> WrittenConditions | None:
    headers: dict[str, dict[str, str]] = {}
    cookies: dict[str, dict[str, str]] = {}
    for name, value in mapping(mapping(match).get("headers")).items():
        kept = {k: v for k, v in mapping(value).items() if k in WAYS}
        cookie = ONE_COOKIE.fullmatch(str(kept.get("regex")))
        if name.lower() == "cookie" and cookie:  # the usual idiom for one cookie
            cookies[cookie[1]] = {"exact": cookie[2]}
        elif len(kept) == 1:
            headers[name] = kept
        else:
            return None
    found: WrittenConditions = {}
    if headers:
        found["headers"] = headers
    if cookies:
        found["cookies"] = cookies
    return found or None


def _affinity(canary: Manifest, draft: Draft, base: Path) -> None:
    name = canary.take(*base, "cookieName")
    if name is None:
        return
    age = seconds_text(canary.take(*base, "maxAge", default=86_400)) or "1d"
    secret = "${RAMPWAY_COOKIE_SECRET}"  # noqa: S105 - a reference, not a secret
    cookie: WrittenCookie = {"name": str(name), "secret": secret, "max_age": age}
    canary.take(*base, "httpOnly")  # ours always is
    if canary.take(*base, "secure", default=False):
        cookie["secure"] = True
    if (same_site := str(canary.take(*base, "sameSite", default="")).lower()) in SAME_SITE:
        cookie["same_site"] = same_site
        if same_site == "none":
            cookie["secure"] = True
    if domain := canary.take(*base, "domain"):
        cookie["domain"] = str(domain)
    if path := canary.take(*base, "path"):
        cookie["path"] = str(path)
    draft.sticky = {"cookie": cookie}
    draft.notes.append(
        f"line {canary.line(base)}: set RAMPWAY_COOKIE_SECRET (16+ characters), it signs the cookie"
    )


def _slow(canary: Manifest, draft: Draft, here: Path, limit: str) -> None:
    """A limit on time is compared: by a coin in steps with weights, else by copies, else not."""
    switch = draft.strategy.get("blue_green")
    if switch is not None and "mirror" not in switch:
        remark = (
            f"asks whether answers take longer than {limit}; at a switch there is nothing to "
            "compare with, so nothing asks that (add mirror: 100% and shadow_slo)"
        )
        canary.note(here, remark)
        return
    gate = "slo" if switch is None else "shadow_slo"
    slo: WrittenSlo = {"slower_than": limit}
    draft.gates.append({"slo": slo} if switch is None else {"shadow_slo": slo})
    remark = f"compared a 99th percentile with a limit; {gate} compares the shares beyond it"
    canary.note(here, remark)


def _metrics(canary: Manifest, draft: Draft, base: Path) -> None:
    draft.gates = [] if "blue_green" in draft.strategy else ["error_rate"]
    for index, metric in enumerate(canary.items(*base, "metrics")):
        here = (*base, "metrics", index)
        name = str(metric.get("name")) if isinstance(metric, dict) else ""
        least = canary.get(*here, "thresholdRange", "min", default=canary.get(*here, "threshold"))
        most = canary.get(*here, "thresholdRange", "max", default=canary.get(*here, "threshold"))
        if name in SUCCESS_RATE and isinstance(least, int | float):
            bad = share_text(round(100 - least, 6))
            if bad is None or not GUARD_BP[0] <= parse_share(bad) <= GUARD_BP[1]:
                canary.note(here, "has a limit that guard cannot have; it became the default one")
                draft.gates.append("guard")
                continue
            draft.gates.append({"guard": {"error_rate": bad}})
            canary.taken.add(here)
        elif name in DURATION and isinstance(most, int | float):
            _slow(canary, draft, here, f"{most:g}ms")
        else:
            canary.note(here, "is a query of its own; write it as a prometheus gate")
