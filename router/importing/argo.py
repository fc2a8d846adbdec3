"""An Argo ``Rollout`` (argoproj.io/v1alpha1) as one of our routes."""

from __future__ import annotations

import re
from typing import Any

from router.config.problems import Path, dotted
from router.core.quantities import format_duration, parse_duration
from router.importing.alerts import add_subscriptions
from router.importing.draft import Draft
from router.importing.manifest import Manifest, seconds_text, share_text

_CONDITION = re.compile(r"\s*result(?:\[0\])?\s*(>=|>|<=|<)\s*(-?[0-9]+(?:\.[0-9]+)?)\s*\Z")

STEP_REMARKS = {
    "setCanaryScale": "is about replicas, which the platform scales",
    "replicaProgressThreshold": "is about replicas, which the platform scales",
    "plugin": "has no counterpart: plugins are not translated",
}
"""Steps that move no traffic here, and why."""


def translate(rollout: Manifest, others: list[Manifest]) -> Draft:
    """The route for a Rollout; `others` are the documents beside it (services, templates)."""
    draft = Draft(rollout.text("metadata", "name", default="imported"), "Argo Rollout")
    if rollout.get("spec", "strategy", "blueGreen") is not None:
        _blue_green(rollout, others, draft)
    else:
        _canary(rollout, others, draft)
    add_subscriptions(rollout, others, draft)
    return draft


# --- canary -----------------------------------------------------------------------------------


def _canary(rollout: Manifest, others: list[Manifest], draft: Draft) -> None:
    base: Path = ("spec", "strategy", "canary")
    _endpoints(rollout, others, draft, (*base, "stableService"), (*base, "canaryService"))
    draft.gates = ["error_rate", "guard"]
    whole = rollout.take(*base, "trafficRouting", "maxTrafficWeight", default=100)
    steps = _Steps(rollout, others, draft, float(whole))
    for index, step in enumerate(rollout.items(*base, "steps")):
        for kind in step if isinstance(step, dict) else ():
            steps.add(kind, (*base, "steps", index, kind))
    canary: dict[str, Any] = {"steps": steps.made} if steps.made else {}
    if not any(step.get("weight", "0%") != "0%" for step in steps.made):
        remark = "has no steps that move traffic; written as ramp: auto, where evidence decides"
        rollout.note(base, remark) if rollout.get(*base) is None else draft.notes.append(
            f"line {rollout.line(base)}: spec.strategy.canary {remark}"
        )
        canary["ramp"] = "auto"
    draft.strategy = {"canary": canary}
    _analyses(rollout, others, draft, (*base, "analysis"))
    for index, step in enumerate(rollout.items(*base, "steps")):
        if isinstance(step, dict) and "analysis" in step:
            _analyses(rollout, others, draft, (*base, "steps", index, "analysis"))


class _Steps:
    """Argo's instructions (set a weight, pause, ...) to plateaus (a weight held for a time)."""

    def __init__(
        self, rollout: Manifest, others: list[Manifest], draft: Draft, whole: float
    ) -> None:
        self.rollout = rollout
        self.others = others
        self.draft = draft
        self.whole = whole
        self.made: list[dict[str, Any]] = []

    def add(self, kind: str, path: Path) -> None:
        """One instruction."""
        handlers = {
            "setWeight": self._weight,
            "pause": self._pause,
            "setMirrorRoute": self._mirror,
            "setHeaderRoute": self._header,
            "analysis": self._analysis,
            "experiment": self._experiment,
        }
        if kind in handlers:
            handlers[kind](path)
        elif kind in STEP_REMARKS:
            self.rollout.note(path, STEP_REMARKS[kind])

    def _weight(self, path: Path) -> None:
        weight = share_text(self.rollout.take(*path), self.whole)
        if weight is None:
            self.rollout.note(path, "is no share from 0% to 100% in steps of 0.01%")
        else:
            self.made.append({"weight": weight})

    def _pause(self, path: Path) -> None:
        duration = self.rollout.take(*path, "duration")
        self.rollout.taken.add(path)
        hold = seconds_text(duration) if duration is not None else None
        if duration is not None and hold is None:
            self.rollout.note(path, "has a duration that is not understood; it became an approval")
        self._wait(hold)

    def _wait(self, hold: str | None) -> None:
        """A time in the last plateau, or a person where there is none; never less than theirs."""
        last = self.made[-1] if self.made else None
        if last is None or "hold" in last or "approval" in last:
            last = {} if self.made else {"weight": "0%"}
            self.made.append(last)
        if hold:
            last["hold"] = hold
        else:
            last["approval"] = {}

    def _analysis(self, path: Path) -> None:
        """The step that it holds up there must not end at once here."""
        seconds = _lasting_s(self.rollout, self.others, path)
        if seconds is None:
            remark = "waits there for an analysis of unknown length; here a person says go on"
            self.rollout.notes.append(f"line {self.rollout.line(path)}: {dotted(path)} {remark}")
        self._end(None if seconds is None else format_duration(max(seconds, 1)))

    def _experiment(self, path: Path) -> None:
        hold = seconds_text(self.rollout.get(*path, "duration", default=""))
        remark = "has no counterpart: an experiment is a route of its own"
        until = f"the step lasts {hold}, as it did" if hold else "a person says when it has ended"
        self.rollout.note(path, f"{remark}; {until}")
        self._end(hold)

    def _end(self, hold: str | None) -> None:
        """One person's word is enough for a pause and what comes behind it."""
        if hold or not self.made or "approval" not in self.made[-1]:
            self._wait(hold)

    def _mirror(self, path: Path) -> None:
        self.rollout.take(*path, "name")
        share = share_text(self.rollout.take(*path, "percentage", default=100))
        if share is None:
            self.rollout.note(path, "has a percentage that is not understood")
            return
        self.made.append({"mirror": share})
        matches = self.rollout.items(*path, "match")
        methods = sorted({m["method"]["exact"] for m in matches if _exact_method(m)})
        paths = [f"{m['path']['prefix']}*" for m in matches if _path_prefix(m)]
        if matches and len(paths) == len(matches):
            self.draft.mirroring["paths"] = paths
        if matches and all(_exact_method(m) for m in matches):
            self.draft.mirroring["methods"] = methods
        if matches:
            self.rollout.note((*path, "match"), "became mirroring; methods and paths combine there")

    def _header(self, path: Path) -> None:
        self.rollout.take(*path, "name")
        for index in range(len(self.rollout.items(*path, "match"))):
            here = (*path, "match", index)
            name = self.rollout.text(*here, "headerName")
            value = self.rollout.take(*here, "headerValue", default={})
            kept = {key: value[key] for key in ("exact", "prefix", "regex") if key in value}
            if name and len(kept) == 1:
                rule = {"match": {"headers": {name: kept}}, "version": "candidate"}
                self.draft.rules.append(rule)
            else:
                self.rollout.note(here, "has a condition that is not understood")
        remark = "became a rule, which holds from the start and not from this step on"
        self.rollout.note(path, remark)


def _exact_method(match: Any) -> bool:
    return bool(isinstance(match, dict) and (match.get("method") or {}).get("exact"))


def _path_prefix(match: Any) -> bool:
    return bool(isinstance(match, dict) and (match.get("path") or {}).get("prefix"))


# --- blue-green -------------------------------------------------------------------------------


def _blue_green(rollout: Manifest, others: list[Manifest], draft: Draft) -> None:
    base: Path = ("spec", "strategy", "blueGreen")
    _endpoints(rollout, others, draft, (*base, "activeService"), (*base, "previewService"))
    draft.gates = ["guard"]
    settings: dict[str, Any] = {}
    automatic = rollout.take(*base, "autoPromotionEnabled", default=True)
    seconds = rollout.take(*base, "autoPromotionSeconds")
    if seconds is not None and (deadline := seconds_text(seconds)):
        settings["approval"] = {"deadline": deadline, "then": "promote"}
    elif not automatic:
        settings["approval"] = {}
    delay = seconds_text(rollout.take(*base, "scaleDownDelaySeconds", default=30))
    if delay is not None:
        settings["bake"] = delay
    before, after = (*base, "prePromotionAnalysis"), (*base, "postPromotionAnalysis")
    if rollout.get(*before) is not None:
        _preview_lasts(rollout, others, before, settings)
    if delay is not None and (seconds := _lasting_s(rollout, others, after)):
        settings["bake"] = format_duration(max(parse_duration(delay), seconds))
    draft.strategy = {"blue_green": settings}
    _analyses(rollout, others, draft, before)
    _analyses(rollout, others, draft, after)


def _preview_lasts(
    rollout: Manifest, others: list[Manifest], path: Path, settings: dict[str, Any]
) -> None:
    """The switch waits as long as the analysis before it did, or for a person."""
    seconds = _lasting_s(rollout, others, path)
    if seconds is not None:
        settings["hold"] = format_duration(max(seconds, 1))
    elif "approval" not in settings:
        settings["approval"] = {}
        remark = "waits there for an analysis of unknown length; here a person says go on"
        rollout.notes.append(f"line {rollout.line(path)}: {dotted(path)} {remark}")


# --- services and analyses --------------------------------------------------------------------


def _endpoints(
    rollout: Manifest, others: list[Manifest], draft: Draft, stable: Path, candidate: Path
) -> None:
    for path, role in ((stable, "stable"), (candidate, "candidate")):
        service = rollout.text(*path) or f"{draft.name}-{role}"
        port, known = _port(service, others)
        url = f"http://{service}:{port}"
        if role == "stable":
            draft.stable_url = url
        else:
            draft.candidate_url = url
        if not known:
            where = rollout.line(path)
            draft.notes.append(f"line {where}: the endpoint {url} is a guess; set the real one")


def _port(service: str, others: list[Manifest]) -> tuple[int, bool]:
    for other in others:
        if other.get("kind") == "Service" and other.get("metadata", "name") == service:
            port = other.get("spec", "ports", 0, "port")
            if isinstance(port, int):
                return port, True
    return 80, False


def _analyses(rollout: Manifest, others: list[Manifest], draft: Draft, path: Path) -> None:
    for index, entry in enumerate(rollout.items(*path, "templates")):
        here = (*path, "templates", index)
        name = entry.get("templateName") or entry.get("clusterTemplateName") or "?"
        template = _template(str(name), others)
        if template is None:
            remark = f"names the template {name!r}, which is not in this file"
            rollout.note(here, f"{remark}; our gates judge all the time")
            continue
        rollout.taken.add(here)
        for number, _ in enumerate(template.items("spec", "metrics")):
            _metric(template, ("spec", "metrics", number), draft)
        _remark_rest(template, draft)


def _lasting_s(rollout: Manifest, others: list[Manifest], path: Path) -> float | None:
    """How long an analysis lasts there: its longest metric; None where this file does not tell."""
    longest = 0.0
    for entry in rollout.items(*path, "templates"):
        name = str(entry.get("templateName") or entry.get("clusterTemplateName") or "?")
        template = _template(name, others)
        if template is None:
            return None
        for number, _ in enumerate(template.items("spec", "metrics")):
            lasting = _metric_s(template, ("spec", "metrics", number))
            if lasting is None:
                return None
            longest = max(longest, lasting)
    return longest


def _metric_s(template: Manifest, path: Path) -> float | None:
    """``count`` measurements, one an ``interval``; once without an interval; else for ever."""
    interval = template.get(*path, "interval")
    count = template.get(*path, "count", default=1 if interval is None else None)
    template.taken.add((*path, "count"))
    texts = [seconds_text(template.get(*path, "initialDelay", default=0))]
    if interval is not None:
        texts.append(seconds_text(interval))
    if not isinstance(count, int) or None in texts:
        return None
    delay, *every = [parse_duration(text) for text in texts if text is not None]
    return delay + sum(every) * count


def _template(name: str, others: list[Manifest]) -> Manifest | None:
    for other in others:
        kinds = ("AnalysisTemplate", "ClusterAnalysisTemplate")
        if other.get("kind") in kinds and other.get("metadata", "name") == name:
            return other
    return None


def _metric(template: Manifest, path: Path, draft: Draft) -> None:
    """A Prometheus metric with a simple condition becomes a gate; anything else a remark."""
    name = str(template.get(*path, "name", default="metric"))
    address = template.get(*path, "provider", "prometheus", "address")
    query = template.get(*path, "provider", "prometheus", "query")
    condition = _CONDITION.match(str(template.get(*path, "successCondition", default="")))
    if query is None or address is None or condition is None or "{{" in str(query):
        template.note(path, "is no Prometheus query with a simple condition; write a gate for it")
        return
    edge = "at_least" if condition[1].startswith(">") else "at_most"
    gate: dict[str, Any] = {"name": name, "url": address, "query": query, edge: float(condition[2])}
    if interval := seconds_text(template.get(*path, "interval", default="")):
        gate["interval"] = interval
    if delay := seconds_text(template.get(*path, "initialDelay", default="")):
        gate["initial_delay"] = delay
    for theirs, ours in (("failureLimit", "failure_limit"),
                         ("consecutiveErrorLimit", "consecutive_error_limit")):  # fmt: skip
        value = template.take(*path, theirs)
        if isinstance(value, int) and value >= 0:
            gate[ours] = value
    for part in ("name", "provider", "successCondition", "interval", "initialDelay"):
        template.taken.add((*path, part))
    if {"prometheus": gate} not in draft.gates:
        draft.gates.append({"prometheus": gate})


def _remark_rest(template: Manifest, draft: Draft) -> None:
    for path in template.untaken():
        template.note(path, "has no counterpart")
    draft.notes += template.notes
    template.notes = []
