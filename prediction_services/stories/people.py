"""People hand a route to a model, level by level."""

import asyncio
import contextlib
import random
from functools import partial
from typing import Any

from prediction_services.load import flight_trips
from prediction_services.stories.scene import POLL_S, ROUTE, Scene

RIGHT = 0.95
"""Share of the flights of which the dispatchers say what became of them."""
AT_ONCE = 50
"""Questions that they take at a time."""

TEMPLATE = (
    '{"outputs": [{"name": "predict", "datatype": "INT64", "shape": [1, 1], "data": [{answer}]}]}'
)
DIAL = f"""\
{ROUTE}\
    versions:
      desk: {{person: true}}
      v3: {{endpoints: ["<v3>"]}}
    stable: desk
    log: {{}}
    review: {{below: 90%, audit: 20%, deadline: 0s, answer: '{TEMPLATE}'}}
    rollout:
      candidate: v3
      strategy:
        automation:
          human_only: {{hold: 1s}}
          shadow: {{until: {{samples: 60}}}}
          assist: {{until: {{samples: 10}}}}
          partial: {{approval: {{}}}}
      gates: [agreement: {{at_least: 60%}}, guard: {{error_rate: 20%}}]
      detect: {{times: 100, points: 50%}}
"""


async def automation(scene: Scene) -> None:
    """Dispatchers answer everything, then what the model is not sure of."""
    await scene.start("v3")
    await scene.serve(DIAL, "prediction_log: {file: <folder>/log.db}\n")
    trips = flight_trips(scene.cache)[:3_000]
    truth = {trip.flight_id: trip.late for trip in trips if trip.late is not None}
    asked = list(truth)
    first = await scene.ask(asked[0])
    text = f"people alone: {first.status} of {first.version}, with a place to look again"
    scene.expect(met=first.status == 202 and first.version == "desk", text=text)
    working = asyncio.create_task(_dispatch(scene, truth))
    try:
        for level in ("shadow", "assist", "partial"):
            await scene.until(level, partial(_stands_at, level), asked=asked)
            scene.say(f"the dial stands at {level}")
        answers = await scene.many(asked[-200:])
    finally:
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
    sure = sum(answer.status == 200 for answer in answers)
    doubtful = sum(answer.status == 202 for answer in answers)
    text = f"at partial v3 answers {sure} of {len(answers)}, people are asked about {doubtful}"
    met = sure + doubtful == len(answers) and min(sure, doubtful) > 0
    scene.expect(met=met, text=text)
    told = await scene.api("/api/v1/reviews")
    one = next(iter(told["routes"].values()))
    for version, reasons in one["versions"].items():
        for reason, rated in reasons.items():
            decided, overruled = rated["decided"], rated["overruled"]
            scene.say(f"{version}, {reason}: {decided} decided by people, {overruled} overruled")


def _stands_at(level: str, now: dict[str, Any]) -> bool:
    return bool(now) and now["plan"]["steps"][now["step"] - 1]["label"] == level


async def _dispatch(scene: Scene, truth: dict[str, bool]) -> None:
    """Dispatchers take what waits, and are right most of the time; until cancelled."""
    chance = random.Random(2013)
    while True:
        claimed = await scene.api("/api/v1/reviews/claim", {"count": AT_ONCE})
        for item in claimed["items"]:
            flight_id = item["request"]["inputs"][0]["data"][0]
            late = bool(truth[flight_id]) is (chance.random() < RIGHT)
            await scene.api("/api/v1/reviews/answer", {"id": item["id"], "answer": int(late)})
        await asyncio.sleep(POLL_S)
