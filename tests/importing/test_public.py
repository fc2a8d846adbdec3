"""The whole meaning of twenty public files, compared; see :mod:`tests.importing.public`."""

from __future__ import annotations

import pytest

from router.config import loads
from router.core.rollout.plan import Ending
from router.importing import import_policy
from tests.importing.public import FILES, Public


def meaning(route):
    rollout, match = route.rollout, route.match
    plan = rollout.plan()
    fixed = [s for s in plan.steps if not s.auto and s.label != "confirm"]
    conditions = match.model_dump(mode="json", exclude_defaults=True)
    copied = rollout.mirroring.model_dump(mode="json", exclude_unset=True)
    return {
        "steps": [
            (s.weight_bp / 100, s.mirror_bp / 100,
             "person" if s.approval and s.approval.deadline_s is None else s.hold_s)
            for s in fixed
        ],
        "bake_s": plan.bake_s,
        "ramp": any(step.auto for step in plan.steps),
        "gates": tuple(gate.kind for gate in rollout.gates),
        "rules": tuple(rule_of(rule) for rule in route.rules),
        "match": {key: conditions[key] for key in ("host", "path") if key in conditions},
        "hooks": tuple(f"{hook.point} {hook.title}" for hook in rollout.hooks),
        "copies": {key: tuple(value) for key, value in copied.items()},
        "timeout_s": route.timeouts.response,
    }  # fmt: skip


def rule_of(rule):
    found = rule.match.model_dump(mode="json", exclude_defaults=True)
    ((kind, names),) = found.items()
    ((name, way),) = names.items()
    ((how, value),) = way.items()
    return f"{kind.removesuffix('s')} {name} {how} {value}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.where.split(" @")[0])
def test_a_public_file_means_the_same_here(file: Public):
    made = import_policy(file.says)
    loaded = loads(made.text)
    (route,) = loaded.policy.routes
    wanted = {
        name: getattr(file, name)
        for name in ("steps", "bake_s", "ramp", "gates", "rules", "match", "hooks", "copies",
                     "timeout_s")
    }  # fmt: skip
    assert meaning(route) == wanted
    assert route.rollout.plan().ending is Ending.PROMOTE
    told = " ".join(made.notes)
    assert [text for text in file.left if text not in told] == []
    assert not loaded.warnings


def test_there_are_twenty_of_two_tools():
    assert len({file.where for file in FILES}) == 20
    assert {file.where.split("/")[0] for file in FILES} == {"argoproj", "fluxcd"}
