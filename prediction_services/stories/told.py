"""Versions told apart by what they are asked, and judged by what was recorded."""

import itertools
from collections.abc import Awaitable, Callable

from aiohttp import ClientSession, web

from prediction_services import MODEL_NAME
from prediction_services.load import flight_trips
from prediction_services.stories.scene import ROUTE, Scene

RECORDED = 600
"""Requests in the log."""

SCORED = f"""\
{ROUTE}\
    log: {{bodies: true}}
    versions:
      v2: {{endpoints: ["<v2>"]}}
      v3: {{endpoints: ["<v3>"]}}
      broken-zero: {{endpoints: ["<broken-zero>"]}}
    stable: v2
    rollout:
      candidate: v3
      strategy: {{shadow: {{mirror: 0.01%, hold: 1h}}}}
      gates: [agreement: {{at_least: 98%}}, guard: {{error_rate: 5%}}]
"""
APART = f"""\
{ROUTE}\
    versions:
      v2: {{endpoints: ["{{ingress}}"], set: {{host: v2.models.example}}}}
      v3: {{endpoints: ["{{ingress}}"], set: {{host: v3.models.example}}}}
    stable: v2
    rollout:
      candidate: v3
      strategy: {{canary: {{steps: [{{weight: 50%, hold: 1h}}]}}}}
      gates: [error_rate, guard]
"""


async def score(scene: Scene) -> None:
    """What clients asked of v2 is put to v3, and to a model that lies; nobody meets either."""
    await scene.start("v2", "v3", "broken-zero")
    await scene.serve(SCORED, "prediction_log: {file: <folder>/log.db}\n")
    trips = itertools.islice(flight_trips(scene.cache), RECORDED)
    answers = await scene.many([trip.flight_id for trip in trips])
    versions = {answer.version for answer in answers}
    scene.expect(met=versions == {"v2"}, text=f"{len(answers)} requests, all answered by v2")
    await _logged(scene)
    for version, wanted in (("v3", 0), ("broken-zero", 3)):
        words = ("score", str(scene.folder / "log.db"), "--policy", str(scene.policy))
        code, said = await scene.rampway(*words, "--to", version, "--rate", "500/s")
        verdict = next((line for line in said.splitlines() if line[:4] in {"pass", "fail"}), said)
        scene.expect(met=code == wanted, text=f"rampway score --to {version}: {verdict}")


async def _logged(scene: Scene) -> None:
    """Until the log has them all."""

    async def kept() -> bool:
        told = await scene.api("/api/v1/log")
        return int(told["held"].get("predictions", 0)) >= RECORDED

    await scene.patiently("the log has all requests", kept)


async def set_apart(scene: Scene) -> None:
    """One ingress in front of two services: each version is asked by a host of its own."""
    await scene.start("v2", "v3")
    hosts = {f"{name}.models.example": service.url for name, service in scene.services.items()}
    async with ClientSession() as session:
        await scene.serve(APART.replace("{ingress}", await scene.host(_ingress(hosts, session))))
        await scene.until("v3 has half", lambda now: now.get("weight_bp") == 5_000)
        asked = [trip.flight_id for trip in itertools.islice(flight_trips(scene.cache), 200)]
        answers = await scene.many(asked)
        right = sum(a.document["model_version"] == a.version for a in answers)
        text = f"{right} of {len(answers)} answers are of the version that they name"
        scene.expect(met=right == len(answers), text=text)
        share = sum(a.version == "v3" for a in answers) / len(answers)
        scene.expect(met=0.2 < share < 0.8, text=f"v3 gave {share:.0%} of them, one address or two")
        await scene.services["v3"].set_faults(error_rate=1.0)
        told = await scene.until("v3 is taken back", lambda now: now.get("phase") == "rolled_back",
                                 asked=asked)  # fmt: skip
        scene.say(told["line"])
        after = await scene.many(asked)
        clean = {(a.status, a.document["model_version"]) for a in after} == {(200, "v2")}
        scene.expect(met=clean, text="v2, behind the same address, answers everything")


def _ingress(
    hosts: dict[str, str], session: ClientSession
) -> Callable[[web.BaseRequest], Awaitable[web.Response]]:
    """What stands in front of both: the host says which."""

    async def handle(request: web.BaseRequest) -> web.Response:
        url = hosts.get(request.host)
        if url is None:
            return web.Response(status=404, text=f"no host {request.host} serves {MODEL_NAME}")
        body = await request.read()
        headers = {"Content-Type": request.headers.get("Content-Type", "application/json")}
        async with session.request(
            request.method, url + request.path_qs, data=body, headers=headers
        ) as answer:
            return web.Response(
                status=answer.status, body=await answer.read(), content_type="application/json"
            )

    return handle
