"""Answers that are not asked for anew: a precomputed table, and a cache."""

import asyncio
import itertools
import json

import numpy as np

from prediction_services.flights import parse_flight_id
from prediction_services.load import flight_trips
from prediction_services.models import ModelPredictor
from prediction_services.stories.scene import ROUTE, Scene
from prediction_services.wire import InferRequest, encode_v2

FLIGHTS = 400
"""Rows of the table."""
AT_ONCE = 500
"""Clients who ask the same at once."""

TABLE = f"""\
{ROUTE}\
    versions:
      v2: {{endpoints: ["<v2>"]}}
      nightly: {{table: {{file: <folder>/nightly.tab, key: {{json: inputs.0.data.0}}, miss: v2}}}}
    stable: v2
    rollout:
      candidate: nightly
      strategy: {{shadow: {{mirror: 100%, hold: 1h}}}}
      gates: [agreement: {{at_least: 95%}}]
"""
CACHE = f"""\
{ROUTE}\
    cache: {{ttl: 1h}}
    versions:
      v2: {{endpoints: ["<v2>"]}}
      v3: {{endpoints: ["<v3>"]}}
    stable: v2
    rollout:
      candidate: v3
      strategy: {{canary: {{steps: [{{weight: 50%, hold: 1h}}]}}}}
      gates: [error_rate, guard]
"""


async def table(scene: Scene) -> None:
    """A job computes v2's answers, and reads every feature from the column before its own."""
    await scene.start("v2")
    trips = itertools.islice(flight_trips(scene.cache), FLIGHTS)
    asked = list(dict.fromkeys(trip.flight_id for trip in trips))
    flights = [parse_flight_id(one, "flight") for one in asked]
    model = await asyncio.to_thread(ModelPredictor.load, scene.cache, "delay", 1.0)
    scores = model.misread(lambda features: np.roll(features, 1, axis=1)).scores(flights)
    rows = zip(asked, flights, scores, strict=True)
    lines = [
        {"key": key, "answer": json.loads(encode_v2(InferRequest((flight,)), [score], "nightly"))}
        for key, flight, score in rows
    ]
    source = scene.folder / "nightly.ndjson"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, said = await scene.rampway("table", str(source), str(scene.folder / "nightly.tab"))
    scene.expect(met=code == 0, text=f"rampway table: {said.strip()}")
    await scene.serve(TABLE)
    told = await scene.until(
        "the table is taken back", lambda now: now.get("phase") == "rolled_back", asked=asked
    )
    pairs = told["shadow"]["pairs"]
    scene.expect(met=pairs < FLIGHTS, text=f"taken back after {pairs} pairs: {told['line']}")
    after = await scene.many(asked[:40])
    scene.expect(met={a.version for a in after} == {"v2"}, text="clients have v2's answers alone")


async def cache(scene: Scene) -> None:
    """Five hundred clients ask the same; then a version is taken back."""
    await scene.start("v2", "v3")
    await scene.serve(CACHE)
    await scene.until("v3 has half", lambda now: now.get("weight_bp") == 5_000)
    trips = itertools.islice(flight_trips(scene.cache), 40)
    asked = list(dict.fromkeys(trip.flight_id for trip in trips))
    answers = await scene.many([asked[0]] * AT_ONCE, together=AT_ONCE)
    made = {a.version for a in answers if a.headers.get("X-Rampway-Cache") != "hit"}
    anew = sum(a.headers.get("X-Rampway-Cache") != "hit" for a in answers)
    text = f"{AT_ONCE} ask the same at once: {anew} are asked, of {', '.join(sorted(made))}"
    scene.expect(met=anew <= 2 and {a.status for a in answers} == {200}, text=text)
    before = await scene.many(asked * 5)
    share = sum(a.version == "v3" for a in before) / len(before)
    scene.expect(met=0.2 < share < 0.8, text=f"v3 gives {share:.0%} of the answers")
    await scene.admin.order("rollback", "told as a story")
    await scene.until("v3 is taken back", lambda now: now.get("phase") == "rolled_back")
    after = await scene.many(asked * 5)
    theirs = sum(a.version == "v3" for a in after)
    scene.expect(met=not theirs, text=f"after the rollback {theirs} of {len(after)} are v3's")
    _, said = await scene.rampway("get", "--admin", scene.admin.url)
    for line in said.splitlines():
        if "cache of" in line:
            scene.say(line.strip())
