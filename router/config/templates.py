"""``templates``: a route that many routes are like, written once.

    templates:
      careful:
        match: {path: /v2/models/$(model)/*}
        versions: {v1: {endpoints: ["$(old)"]}, v2: {endpoints: ["$(new)"]}}
        stable: v1
    routes:
      - name: flights
        template: careful
        with: {model: flights, old: "http://10.0.0.1:9000", new: "http://10.0.0.2:9000"}

Each route that names a template is replaced by a copy of it, before anything else looks at the
values, so a policy means what the same routes written out mean. A value that is one
``$(argument)`` becomes the argument itself, of whatever type; within a longer text the argument's
own text stands. Keys that the route has beside ``template`` and ``with`` replace those of the
template. A template uses no other one. A problem within a copy is told at the template's place, or
at the argument's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from router.config.problems import Path, PolicyError, Problem
from router.config.source import NODES_MAX, Document, resolve

TEMPLATES: Final = "templates"
TEMPLATE: Final = "template"
WITH: Final = "with"
_ARGUMENT: Final = re.compile(r"\$\(([^()]*)\)")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def apply_templates(document: Document) -> None:
    """Put copies of their templates in the place of routes that name one, within ``document``.

    Raises PolicyError with every route that cannot be made.
    """
    policy = document.value
    if not isinstance(policy, dict) or not _asked(policy):
        return
    problems: list[Problem] = []
    templates = policy.pop(TEMPLATES, None)
    if not isinstance(templates, dict):
        hint = "write templates: {NAME: {...}}"
        raise PolicyError([document.problem((TEMPLATES,), "expected templates by name", hint)])
    nodes = 0
    routes = policy.get("routes")
    routes = routes if isinstance(routes, list) else []
    for index, route in enumerate(routes):
        if isinstance(route, dict) and TEMPLATE in route:
            made = _Route(document, templates, ("routes", index), route)
            routes[index] = made.value()
            problems += made.problems
            nodes += made.nodes
            if nodes > NODES_MAX:
                problems.append(document.problem(
                    made.place, f"expected at most {NODES_MAX:,} values from templates, got more"
                ))  # fmt: skip
                break
    if problems:
        raise PolicyError(problems)


def _asked(policy: Mapping[str, object]) -> bool:
    routes = policy.get("routes")
    uses = isinstance(routes, list) and any(isinstance(r, dict) and TEMPLATE in r for r in routes)
    return TEMPLATES in policy or uses


@dataclass
class _Route:
    """One route that is made of a template."""

    document: Document
    templates: Mapping[str, object]
    place: Path
    written: Mapping[str, object]
    problems: list[Problem] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    nodes: int = 0

    @property
    def given(self) -> Mapping[str, object] | None:
        """The arguments by name; None where something else stands in their place."""
        given = self.written.get(WITH, {})
        return given if isinstance(given, dict) else None

    def value(self) -> Any:
        """The route. What is wrong goes into ``problems``."""
        name = self.written[TEMPLATE]
        template = self.templates.get(name) if isinstance(name, str) else None
        if not isinstance(name, str) or not isinstance(template, dict):
            self._say(
                (*self.place, TEMPLATE), f"expected a template, got {name!r}", self._near(name)
            )
            return {}
        own = {key: value for key, value in self.written.items() if key not in (TEMPLATE, WITH)}
        made = {
            key: self._copied(inner, (TEMPLATES, name, key), (*self.place, key))
            for key, inner in template.items()
            if key not in own
        }
        self._unused(name)
        return made | own

    def _near(self, name: Any) -> str:
        near = get_close_matches(str(name), self.templates, 1)
        known = ", ".join(list(self.templates)[:5]) or "none"
        return f"did you mean {near[0]}?" if near else f"the templates are: {known}"

    def _unused(self, template: str) -> None:
        if (given := self.given) is None:
            self._say(
                (*self.place, WITH), "expected arguments by name", "write with: {NAME: value}"
            )
            return
        for name in given.keys() - self.used:
            known = ", ".join(sorted(self.used)) or "none"
            self._say((*self.place, WITH, name), f"template {template} has no $({name})",
                      f"its arguments are: {known}")  # fmt: skip

    def _copied(self, value: Any, source: Path, target: Path) -> Any:
        """A copy of a template's value with the arguments in it, and its marks under ``target``."""
        self.nodes += 1
        self._mark(source, target)
        if isinstance(value, dict):
            named = [(key, self._text(key, (*source, key))) for key in value]
            return {
                name: self._copied(value[key], (*source, key), (*target, name))
                for key, name in named
            }
        if isinstance(value, list):
            return [
                self._copied(inner, (*source, n), (*target, n)) for n, inner in enumerate(value)
            ]
        return self._scalar(value, source, target) if isinstance(value, str) else value

    def _mark(self, source: Path, target: Path) -> None:
        known = self.document
        for marks in (known.keys, known.values):
            if source in marks:
                marks[target] = marks[source]
        if source in known.plain:
            known.plain[target] = known.plain[source]
        else:
            known.plain.pop(target, None)

    def _mark_all(self, value: Any, source: Path, target: Path) -> None:
        """The marks of an argument and of its parts, at which their problems are told."""
        self.nodes += 1
        self._mark(source, target)
        parts = value.items() if isinstance(value, dict) else ()
        for key, inner in enumerate(value) if isinstance(value, list) else parts:
            self._mark_all(inner, (*source, key), (*target, key))

    def _scalar(self, text: str, source: Path, target: Path) -> Any:
        whole = _ARGUMENT.fullmatch(text)
        if whole is None:
            made = self._text(text, source)
            return resolve(made) if made != text and target in self.document.plain else made
        name = whole[1]
        if not self._known(name, source):
            return text
        value = (self.given or {})[name]
        self._mark_all(value, (*self.place, WITH, name), target)
        return value

    def _text(self, text: str, source: Path) -> str:
        def put(found: re.Match[str]) -> str:
            return self._written(found[1]) if self._known(found[1], source) else found[0]

        return _ARGUMENT.sub(put, text)

    def _written(self, name: str) -> str:
        """An argument as it stands in the file, so that 1.10 stays 1.10."""
        place = (*self.place, WITH, name)
        value = (self.given or {})[name]
        if isinstance(value, dict | list):
            self._say(place, f"expected a text for $({name}), got a list or a mapping",
                      f"it stands within a longer text; only a value that is $({name}) alone "
                      "may be one")  # fmt: skip
            return ""
        return self.document.plain.get(place, str(value))

    def _known(self, name: str, source: Path) -> bool:
        self.used.add(name)
        if not _NAME.match(name):
            self._say(source, f"expected the name of an argument in $({name})",
                      "letters, digits and underscores")  # fmt: skip
            return False
        if name not in (self.given or {}):
            self._say((*self.place, TEMPLATE), f"expected an argument for $({name}), got none",
                      f"write with: {{{name}: ...}}")  # fmt: skip
            return False
        return True

    def _say(self, path: Path, message: str, hint: str) -> None:
        problem = self.document.problem(path, message, hint)
        if problem not in self.problems:
            self.problems.append(problem)
