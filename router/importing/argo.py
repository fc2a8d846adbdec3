"""An Argo ``Rollout`` (argoproj.io/v1alpha1) as one of our routes."""

from __future__ import annotations

import re
from typing import Any

from router.config.problems import Path, dotted
from router.core.quantities import format_duration, parse_duration, parse_share
from router.importing.alerts import add_subscriptions
from router.importing.draft import Draft
from router.importing.manifest import Manifest, mapping, seconds_text, share_text
from router.importing.written import (
    WrittenCanary,
    WrittenPlateau,
    WrittenQuery,
    WrittenRule,
    WrittenSwitch,
)

_CONDITION = re.compile(r"\s*result(?:\[0\])?\s*(>=|>|<=|<)\s*(-?[0-9]+(?:\.[0-9]+)?)\s*\Z")
_ARGUMENT = re.compile(r"\{\{\s*args\.([A-Za-z0-9_-]+)\s*\}\}")

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
    _hosts(rollout, others, draft, (*base, "trafficRouting", "istio"))
    draft.gates = ["error_rate", "guard"]
    weights = (*base, "trafficRouting", "maxTrafficWeight")
    whole = rollout.take(*weights, default=100)
    if not isinstance(whole, int | float):
        rollout.note(weights, "is no number; 100 is taken")
        whole = 100
    steps = _Steps(rollout, others, draft, float(whole))
    for index, step in enumerate(rollout.items(*base, "steps")):
        for kind in step if isinstance(step, dict) else ():
            steps.add(kind, (*base, "steps", index, kind))
    steps.finish()
    canary: WrittenCanary = {"steps": steps.made} if steps.made else {}
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
        self.made: list[WrittenPlateau] = []
        self.mirrors: dict[str, str] = {}
        """Share of each mirror route in force, by name: a later step of the name replaces it."""
        self.copied: list[list[Any]] = []
        """What each mirror step that set one let through."""
        self.headers: dict[str, tuple[Path, list[WrittenRule]]] = {}
        """Rules of each header route in force, by name, and where it was set."""

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
        else:
            self.rollout.note(path, STEP_REMARKS.get(kind, "has no counterpart"))

    def _weight(self, path: Path) -> None:
        weight = share_text(self.rollout.take(*path), self.whole)
        if weight is None:
            self.rollout.note(path, "is no share from 0% to 100% in steps of 0.01%")
        else:
            self.made.append({"weight": weight, **self._copies()})

    def _copies(self) -> WrittenPlateau:
        """The largest share of the mirror routes in force: they outlive the step that set them."""
        shares = sorted(self.mirrors.values(), key=parse_share)
        return {"mirror": shares[-1]} if shares else {}

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
        """Sets the route of that name, or without ``match`` removes it, as there."""
        name = self.rollout.text(*path, "name")
        written = self.rollout.take(*path, "percentage", default=100)
        self.rollout.taken.add((*path, "match"))
        if self.rollout.get(*path, "match") is None:
            self.mirrors.pop(name, None)
            self._copy(self._copies() or {"mirror": "0%"})
            return
        share = share_text(written)
        if share is None:
            self.rollout.note((*path, "percentage"), "is a percentage that is not understood")
            return
        self.mirrors[name] = share
        self._copy(self._copies())
        self.copied.append(self.rollout.items(*path, "match"))
        self.rollout.note((*path, "match"), "became mirroring; methods and paths combine there")

    def _copy(self, copies: WrittenPlateau) -> None:
        """From here on; a plateau that nothing has held up yet begins with it."""
        if self.made and not {"hold", "approval"} & set(self.made[-1]):
            self.made[-1] |= copies
        else:
            self.made.append(copies)

    def _header(self, path: Path) -> None:
        """Sets the route of that name, or without ``match`` removes it, as there."""
        name = self.rollout.text(*path, "name")
        if self.rollout.get(*path, "match") is None:
            if (removed := self.headers.pop(name, None)) is not None:
                remark = "holds for some steps only; a rule holds all along, so there is none"
                self.rollout.note(removed[0], remark)
            self.rollout.taken.add(path)
            return
        rules: list[WrittenRule] = []
        for index in range(len(self.rollout.items(*path, "match"))):
            here = (*path, "match", index)
            header = self.rollout.text(*here, "headerName")
            value = mapping(self.rollout.take(*here, "headerValue"))
            ways = ("exact", "prefix", "regex")
            kept = {way: str(value[way]) for way in ways if way in value}
            if header and len(kept) == 1:
                rules.append({"match": {"headers": {header: kept}}, "version": "candidate"})
            else:
                self.rollout.note(here, "has a condition that is not understood")
        if (former := self.headers.get(name)) is not None:
            self.rollout.note(former[0], "is replaced by a later step of its name; that one holds")
        self.headers[name] = (path, rules)

    def finish(self) -> None:
        """What holds for the whole rollout here: rules, and what is copied."""
        for path, rules in self.headers.values():
            self.draft.rules += rules
            remark = "became a rule, which holds from the start and not from this step on"
            self.rollout.note(path, remark)
        matches = [match for one in self.copied for match in one]
        if not matches or not all(self.copied):
            return
        if all(map(_path, matches)):
            self.draft.mirroring["paths"] = list(dict.fromkeys(map(_path, matches)))
        if all(map(_exact_method, matches)):
            methods = {match["method"]["exact"] for match in matches}
            self.draft.mirroring["methods"] = sorted(methods)


def _exact_method(match: Any) -> bool:
    return isinstance(mapping(mapping(match).get("method")).get("exact"), str)


def _path(match: Any) -> str:
    """The paths a mirror's match lets through, as ours; empty when it is not understood."""
    path = match.get("path") if isinstance(match, dict) else None
    if not isinstance(path, dict) or len(path) != 1:
        return ""
    return (
        str(path["exact"]) if "exact" in path else f"{path['prefix']}*" if "prefix" in path else ""
    )


# --- blue-green -------------------------------------------------------------------------------


def _blue_green(rollout: Manifest, others: list[Manifest], draft: Draft) -> None:
    base: Path = ("spec", "strategy", "blueGreen")
    _endpoints(rollout, others, draft, (*base, "activeService"), (*base, "previewService"))
    draft.gates = ["guard"]
    settings: WrittenSwitch = {}
    automatic = rollout.take(*base, "autoPromotionEnabled", default=True)
    deadline = seconds_text(rollout.take(*base, "autoPromotionSeconds"))
    judged = _lasting_s(rollout, others, (*base, "prePromotionAnalysis"))
    if judged and deadline:
        settings["approval"] = {"deadline": deadline, "then": "promote"}
    elif not automatic or not judged:
        settings["approval"] = {}
    if automatic and not judged:
        remark = "switches by itself there; nothing judges the preview, so here a person does"
        draft.notes.append(f"line {rollout.line(base)}: {dotted(base)} {remark}")
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
    rollout: Manifest, others: list[Manifest], path: Path, settings: WrittenSwitch
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


def _hosts(rollout: Manifest, others: list[Manifest], draft: Draft, base: Path) -> None:
    """Hosts of the VirtualServices that Argo writes weights into, where the file has them."""
    single = rollout.get(*base, "virtualService", "name")
    names = [single, *(one.get("name") for one in rollout.items(*base, "virtualServices"))]
    for other in others:
        if other.get("kind") != "VirtualService" or other.get("metadata", "name") not in names:
            continue
        hosts = [str(host).lower() for host in other.items("spec", "hosts") if host != "*"]
        where = f"line {other.line(('spec', 'hosts'))}: spec.hosts of the VirtualService"
        if hosts:
            draft.match.setdefault("host", hosts[0])
        if len(hosts) > 1:
            draft.notes.append(f"{where} has several; a route has one, repeat it for the others")
        if any(isinstance(one, dict) and "match" in one for one in other.items("spec", "http")):
            where = f"line {other.line(('spec', 'http'))}: spec.http of the VirtualService"
            draft.notes.append(f"{where} has conditions of its own; write them as `match` or rules")


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
        name = _template_name(entry)
        template = _template(name, others)
        if template is None:
            remark = f"names the template {name!r}, which is not in this file"
            rollout.note(here, f"{remark}; our gates judge all the time")
            continue
        rollout.taken |= {here, (*path, "args")}
        arguments = _arguments(rollout, template, path)
        template.taken.add(("spec", "args"))
        for number, _ in enumerate(template.items("spec", "metrics")):
            _metric(template, ("spec", "metrics", number), draft, arguments)
        _remark_rest(template, draft)


def _arguments(rollout: Manifest, template: Manifest, path: Path) -> dict[str, str]:
    """What ``{{args.x}}`` of a template means: its own values, then those of who runs it."""
    known: dict[str, str] = {}
    for one in (*template.items("spec", "args"), *rollout.items(*path, "args")):
        if isinstance(one, dict) and "name" in one:
            if isinstance(value := one.get("value"), str | int | float):
                known[str(one["name"])] = str(value)
            elif "valueFrom" in one:  # known to the cluster only: no guess, not even the default
                known.pop(str(one["name"]), None)
    return known


def _resolved(value: Any, arguments: dict[str, str]) -> str | None:
    """The text with its arguments; None where one of them is not in this file."""
    missing: list[str] = []

    def put(match: re.Match[str]) -> str:
        if match[1] not in arguments:
            missing.append(match[1])
        return arguments.get(match[1], "")

    made = _ARGUMENT.sub(put, str(value))
    return None if missing or "{{" in made else made


def _lasting_s(rollout: Manifest, others: list[Manifest], path: Path) -> float | None:
    """How long an analysis lasts there: its longest metric; None where this file does not tell."""
    longest = 0.0
    for entry in rollout.items(*path, "templates"):
        template = _template(_template_name(entry), others)
        if template is None:
            return None
        arguments = _arguments(rollout, template, path)
        for number, _ in enumerate(template.items("spec", "metrics")):
            lasting = _metric_s(template, ("spec", "metrics", number), arguments)
            if lasting is None:
                return None
            longest = max(longest, lasting)
    return longest


def _metric_s(template: Manifest, path: Path, arguments: dict[str, str]) -> float | None:
    """``count`` measurements, one an ``interval``; once without an interval; else for ever."""
    interval = template.get(*path, "interval")
    count = template.get(*path, "count", default=1 if interval is None else None)
    times = _resolved(count, arguments)
    template.taken.add((*path, "count"))
    texts = [template.get(*path, "initialDelay", default=0)]
    texts += [] if interval is None else [interval]
    lengths = [seconds_text(_resolved(text, arguments)) for text in texts]
    if times is None or not times.isdecimal() or None in lengths:
        return None
    delay, *every = [parse_duration(text) for text in lengths if text is not None]
    return delay + sum(every) * int(times)


def _template_name(entry: Any) -> str:
    named = mapping(entry)
    return str(named.get("templateName") or named.get("clusterTemplateName") or "?")


def _template(name: str, others: list[Manifest]) -> Manifest | None:
    for other in others:
        kinds = ("AnalysisTemplate", "ClusterAnalysisTemplate")
        if other.get("kind") in kinds and other.get("metadata", "name") == name:
            return other
    return None


def _metric(template: Manifest, path: Path, draft: Draft, arguments: dict[str, str]) -> None:
    """A Prometheus metric with a simple condition becomes a gate; anything else a remark."""
    name = str(template.get(*path, "name", default="metric"))
    source = (*path, "provider", "prometheus")
    address = _resolved(template.get(*source, "address", default=""), arguments)
    query = _resolved(template.get(*source, "query", default=""), arguments)
    written = _resolved(template.get(*path, "successCondition", default=""), arguments)
    if None in (address, query, written):
        template.note(path, "has an argument whose value is not in this file; write a gate for it")
        return
    condition = _CONDITION.match(written or "")
    if not query or not address or condition is None:
        template.note(path, "is no Prometheus query with a simple condition; write a gate for it")
        return
    gate: WrittenQuery = {"name": name, "url": address, "query": query}
    if condition[1].startswith(">"):
        gate["at_least"] = float(condition[2])
    else:
        gate["at_most"] = float(condition[2])
    if interval := seconds_text(template.get(*path, "interval", default="")):
        gate["interval"] = interval
    if delay := seconds_text(template.get(*path, "initialDelay", default="")):
        gate["initial_delay"] = delay
    if (failures := _limit(template, (*path, "failureLimit"))) is not None:
        gate["failure_limit"] = failures
    if (errors := _limit(template, (*path, "consecutiveErrorLimit"))) is not None:
        gate["consecutive_error_limit"] = errors
    for part in ("name", "provider", "successCondition", "interval", "initialDelay"):
        template.taken.add((*path, part))
    if {"prometheus": gate} not in draft.gates:
        draft.gates.append({"prometheus": gate})


def _limit(template: Manifest, path: Path) -> int | None:
    value = template.take(*path)
    return value if isinstance(value, int) and value >= 0 else None


def _remark_rest(template: Manifest, draft: Draft) -> None:
    for path in template.untaken():
        template.note(path, "has no counterpart")
    draft.notes += template.notes
    template.notes = []
