"""A program of somebody who generated a client from the document: `use_client.py FOLDER URL`.

It is run by the interpreter that has the generator, and prints what it saw as JSON.
"""

from __future__ import annotations

import importlib
import json
import sys

FOLDER, URL = sys.argv[1:]
sys.path.insert(0, FOLDER)
PACKAGE = "rampway_admin_interface_client"


def part(name):
    return importlib.import_module(f"{PACKAGE}.{name}")


def operation(name):
    return part(f"api.default.{name}").sync_detailed


models = part("models")
client = importlib.import_module(PACKAGE).Client(base_url=URL)

routes = operation("routes")(client=client).parsed
rollout = operation("rollout")("r", client=client).parsed
assert isinstance(routes, models.RoutesView)
assert isinstance(rollout, models.OfferedRollout)
gate = rollout.gates[0]
assert isinstance(gate, models.GateView)

paused = operation("pause")(
    "r", client=client, body=models.PauseBody(reason="by a generated client"),
    if_match=f'"{rollout.revision}"', idempotency_key="generated-1",
)  # fmt: skip
late = operation("resume")("r", client=client, body=models.ResumeBody(), if_match='"1"')
back = operation("rollback")("r", client=client, body=models.RollbackBody(reason="enough"))
journal = operation("journal")(client=client, route="r", limit=5).parsed
why = operation("why")("r", client=client).parsed
unknown = operation("route")("nowhere", client=client)
shadow = operation("shadow")("r", client=client).parsed
verdict = operation("verdict")("r", client=client).parsed
health = operation("healthz")(client=client).parsed

print(json.dumps({
    "routes": [one.name for one in routes.routes],
    "gate": [gate.name, gate.verdict, gate.stable.total > 0],
    "paused": [paused.status_code, paused.parsed.phase, paused.parsed.reason],
    "late": [late.status_code, late.parsed.code, late.parsed.actual == paused.parsed.revision],
    "back": [back.parsed.phase, back.parsed.weight_bp],
    "journal": [one.action for one in journal.entries[:2]],
    "why": [why.entry.actor.split(":")[0], [one.gate for one in why.entry.evidence.reports]],
    "unknown": [unknown.status_code, type(unknown.parsed).__name__],
    "shadow": [shadow.candidate, shadow.versions["v2"].pairs >= 0],
    "verdict": [verdict.verdict, verdict.success],
    "health": health.ok,
}))  # fmt: skip
