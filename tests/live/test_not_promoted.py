"""A real router beside candidates that are dead, dumb or alone: none but the good one is promoted.

Steps of a second and a sample of a few answers, so nothing but proof keeps them; a good candidate
beside them is through, so there was time enough.
"""

from __future__ import annotations

import pytest

from tests.live.kit import Clients, Lab

pytestmark = pytest.mark.live

SAYS = {
    "hangs": ("progressing", "rolled_back"), "dead": ("progressing",),
    "unready": ("progressing",), "refuses": ("rolled_back",), "empty": ("rolled_back",),
    "unasked": ("progressing",), "switch": ("progressing",),
}  # fmt: skip
"""Candidate -> phases in which it may be left; `switch`: a blue-green that is never asked."""
ROUTE = """\
  - name: {name}
    match: {{path: /{name}}}
    versions:
      v1: {{endpoints: ["<v1>"]}}
      {name}: {{endpoints: ["<{name}>"]{more}}}
    stable: v1
    rollout:
      candidate: {name}
      strategy: {strategy}
      gates: [error_rate, guard]
      detect: {{times: 100, points: 50%}}
"""
CANARY = "{canary: {steps: [{weight: 20%, hold: 1s}, {weight: 50%, hold: 1s}], bake: 1s}}"
SWITCH = "{blue_green: {mirror: 100%, hold: 1s, bake: 1s}}"


def routes():
    for name in ("good", *SAYS):
        more = ", health: {path: /health, interval: 1s}" if name == "unready" else ""
        strategy = SWITCH if name == "switch" else CANARY
        yield ROUTE.format(name=name, more=more, strategy=strategy)


async def test_only_the_one_that_answers_is_promoted(tmp_path):
    async with Lab(tmp_path, names=("v1", "good", *SAYS)) as lab:
        lab.versions["hangs"].mode = "hang"
        lab.versions["refuses"].mode = "refuse"
        lab.versions["empty"].mode = "empty"
        lab.versions["unready"].probes = 503
        lab.versions["dead"].close()
        lab.write("".join(routes()))
        await lab.start()
        asked = ("/good", "/dead", "/unready", "/refuses", "/empty")
        async with (
            Clients(lab.port, paths=asked, per_s=150) as clients,
            Clients(lab.port, paths=("/hangs",), per_s=20),
        ):
            await lab.until("completed", route="good", seconds=60)
            for name in ("refuses", "empty"):
                await lab.until("rolled_back", route=name, seconds=60)
            for name, phases in SAYS.items():
                status = await lab.status(name)
                assert status["phase"] in phases, (name, status["reason"])
                assert status["weight_bp"] < 10_000
                assert status["phase"] == "rolled_back" or status["waits_for"], name
        for name in ("dead", "unready"):
            assert not clients.of(name)
            assert not lab.versions[name].seen
        assert clients.of("good")
