"""A live router that has something to say on every path of its API."""

from __future__ import annotations

from tests.live.kit import Clients, Lab, route

CANARY = "{canary: {steps: [{weight: 20%, mirror: 50%, hold: 1h}, {weight: 50%, hold: 1h}]}}"
HEAD = """\
log: {}
sticky: {header: X-User-Id}
payload: json

"""
PLAIN = """\
  - name: plain
    match: {path: /plain*}
    versions: {v1: {endpoints: ["<v1>"]}}
    stable: v1
"""


async def begun(lab: Lab) -> None:
    """One route with a canary, a log and copies, one without a rollout; all of it was answered."""
    lab.write(route(CANARY, head=HEAD) + PLAIN, "prediction_log: {file: <folder>/log.db}")
    await lab.start()
    async with Clients(lab.port, ("/r", "/plain"), per_s=100):
        await lab.until(_compared)


def _compared(said: dict) -> bool:
    """Whether each arm has answered, copies were compared, and the first gate has its verdict."""
    first = said["gates"][0]
    return bool(
        said["weight_bp"]
        and said["versions"]["v2"]["requests"]
        and (said["shadow"] or {}).get("pairs")
        and first["stable"]["total"]
        and first["candidate"]["total"]
        and first["verdict"] == "pass"
    )
