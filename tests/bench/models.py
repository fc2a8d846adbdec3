"""Which gate takes which broken model back, and after how many requests: real services, real bytes.

    python -m tests.bench.models [--only NAME ...] [--modes canary,shadow] [--out FILE]

Every version of the flight-delay model runs as a process of its own behind one router; the flights
of 2013 from March on are asked in one seeded random order (in `July after March` first March's,
which are the reference of its monitors, then July's). A case is a route with its own rollout:
`canary` at 50 % without a mirror, or `shadow` with every request copied. Requests go in lots of 20,
later of a fourteenth of those before, and after each the router is given the time to report; so a
count is that of the lot in which the model was taken back. Every answer of a case must be a 200:
nothing but predictions (and `slow`'s time) tells.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import numpy as np

from prediction_services.dataset import load_table
from prediction_services.fleet import Fleet
from prediction_services.flights import parse_flight_id
from prediction_services.models import ModelPredictor
from prediction_services.wire import InferRequest, encode_v2
from router.upstream.table_file import write_table
from tests.models_cache import models_cache
from tests.reliability.whole import Router, standing

LOT = 20
GROWS = 14
REPORTED_S = 0.4
"""Reports come four times a second; reading them takes less."""
STILL_MAX = 20
"""Times that it is waited for that long; a rollout that has not begun is told of nothing."""
TOGETHER = 8
INFER = "/v2/models/flight-delay/infer"

GATES = {
    "canary": "[error_rate, nulls, classes, scores]",
    "shadow": "[{agreement: {at_least: 95%}}, {positive_rate: {margin: 5%}}, nulls]",
    "faults": "[error_rate, {nulls: {limit: 0.1%}}, classes, scores]",
    "faults-shadow": "[{agreement: {at_least: 95%}}, {positive_rate: {margin: 5%}}, "
    "{nulls: {limit: 0.1%}}]",
    "features": "[error_rate, nulls, classes, {scores: "
    "{deciles: 80%, share: 60%, by: {feature: dep_delay, parts: 6}}}]",
    "features-shadow": "[{agreement: {at_least: 95%}}, {positive_rate: {margin: 5%}}, nulls]",
    "slow": "[error_rate, latency, classes]",
    "slow-shadow": "[agreement: {at_least: 95%}, shadow_slo: {slower_than: 20ms, margin: 2%}]",
    "carrier": "[error_rate, classes: {by: {header: X-Carrier}}]",
    "carrier-shadow": "[agreement: {at_least: 95%, by: {header: X-Carrier}}]",
}
STRATEGY = {
    "canary": "{canary: {steps: [{weight: 50%, hold: 1h}], bake: 1h}}",
    "shadow": "{shadow: {mirror: 100%, hold: 1h}}",
}


MONITORS = """\
    monitors: {reference: {past: 20s}, window: 10s, season: 168s, requests: 1500, psi: 0.02}
"""
"""Scores of July lie 0.054 from March's (population stability index; 0.1 is the default), labels
0.027, those of April, May and August below 0.007. To tell that from chance with nine of ten looks
takes some 1,500 requests of stable on both sides (chi-square of ten cells at p 0.001)."""


WHOLE, SHIFTED = "table", "table-shifted"
"""Versions that are tables of v2's answers: right ones, and those of a job that reads each feature
from the column before its own."""


@dataclass(frozen=True)
class Case:
    """One candidate and how soon it has to be found."""

    name: str
    version: str = "v2"
    faults: dict = field(default_factory=dict)
    canary: int | None = 400
    """Requests at 50 % without a mirror; None: needs pairs."""
    shadow: int | None = 40
    """Pairs."""
    rows: int = 1
    passes: bool = False
    gates: str = ""
    month: int = 0
    told: bool = False
    """Requests say the departure delay, which these services look up otherwise."""
    past: int = 0
    """Requests to stable alone before there is a rollout: thresholds of `latency` are from them."""


CASES = (
    Case("broken-zero", "broken-zero"),
    Case("v1", "v1"),
    Case("all NaN", faults={"nan_rate": 1}),
    Case("constant 0.2", faults={"score_constant": 0.2}),
    Case("broken-seconds", "broken-seconds"),
    Case("labels swapped", faults={"swapped_rate": 1}),
    Case("previous flight", faults={"previous_rate": 1}, canary=None),
    Case("scores x 0.9", faults={"score_factor": 0.9}, canary=1_500, shadow=300),
    Case("scores + 0.1", faults={"score_shift": 0.1}, canary=1_500, shadow=300),
    Case("NaN in 1 %", faults={"nan_rate": 0.01}, canary=1_500, shadow=1_000,
         gates="faults"),
    Case("null in 1 %", faults={"null_rate": 0.01}, canary=1_500, shadow=1_000,
         gates="faults"),
    Case("unknown label in 5 %", faults={"unknown_rate": 0.05}, canary=1_500, shadow=1_000),
    Case("feature dropped", "broken-dropped", canary=5_000, shadow=3_000, told=True,
         gates="features"),
    Case("delay lost on 20 %", "broken-lost", canary=5_000, shadow=3_000, told=True,
         gates="features"),
    Case("one in ten stale", faults={"previous_rate": 0.1}, canary=None, shadow=3_000),
    Case("one carrier of 1 % wrong", faults={"wrong_carrier": "FL"}, canary=None, shadow=5_000,
         gates="carrier"),
    Case("32 rows: broken-zero", "broken-zero", canary=100, shadow=40, rows=32),
    Case("table with a column shifted", SHIFTED),
    Case("table", WHOLE, canary=400, shadow=200, passes=True),
    Case("slow", "slow", canary=400, shadow=400, gates="slow", past=800),
    Case("v3", "v3", canary=3_000, shadow=2_000, passes=True),
    Case("v3 told of delays", "v3", canary=5_000, shadow=None, passes=True, told=True,
         gates="features"),
    Case("32 rows: v3", "v3", canary=600, shadow=400, rows=32, passes=True),
    Case("July after March: v3", "v3", canary=4_000, shadow=None, passes=True, month=7),
)  # fmt: skip


def flights(table, month):
    """(flight ids, carriers, minutes of delay) in the order in which they are asked."""
    first = table.first_row(month or 3)
    last = table.first_row(month + 1) if month else len(table)
    places = list(range(first, last))
    random.Random(2013).shuffle(places)
    while True:
        for place in places:
            flight = table.row_flight(place)
            yield flight.flight_id, flight.carrier, float(np.nan_to_num(table.dep_delay[place]))


def route_of(case, mode):
    return f"{mode}-{case.name}".lower().replace(" ", "-").translate(
        str.maketrans(dict.fromkeys(".%:+", ""))
    )  # fmt: skip


ROLLOUT = """\
    rollout:
      candidate: candidate
      strategy: {strategy}
      gates: {gates}
"""


def table_of(folder, name, table, flights_asked):
    """The product's own file of v2's answers to these flights; text of the version that has it."""
    model = ModelPredictor.load(models_cache(), "delay", 1.0)
    if name == SHIFTED:
        model = model.misread(lambda features: np.roll(features, 1, axis=1))
    asked = [parse_flight_id(one, "flight") for one in dict.fromkeys(flights_asked)]
    rows = zip(asked, model.scores(asked), strict=True)
    file = folder / f"{name}.tab"
    answers = (
        (flight.flight_id, encode_v2(InferRequest((flight,)), [score], name))
        for flight, score in rows
    )
    write_table(file, answers, time.time())
    return f"table: {{file: {file}, key: {{json: inputs.0.data.0}}, miss: v2}}"


def policy(folder, cases, urls, *, begun=True):
    lines = [
        (
            "listen: 127.0.0.1:0\nadmin: {listen: '127.0.0.1:0'}\n"
            f"store: sqlite:///{folder}/rampway.db\nroutes:\n"
        )
    ]
    for case, mode in cases:
        name = route_of(case, mode)
        rollout = "" if case.past and mode == "canary" and not begun else ROLLOUT
        gates = case.gates + ("-shadow" if mode == "shadow" else "") if case.gates else mode
        lines.append(f"""\
  - name: {name}
    match: {{headers: {{X-Case: {{exact: {name}}}}}}}
    payload: open_inference_v2
    predictions:
      {{label: predict, score: predict_proba, classes: [0, 1], range: [0, 1], sample: 100%,
       features: {{dep_delay: numeric}}}}
    versions:
      v2: {{endpoints: ["{urls['stable']}"]}}
      candidate: {{{urls[case.version]}}}
    stable: v2
{MONITORS if case.month else ""}{rollout.format(strategy=STRATEGY[mode], gates=GATES[gates])}\
""")  # fmt: skip
    return "".join(lines)


class Running:
    """One case while it is asked."""

    def __init__(self, router, session, case, mode, table):
        self.router, self.session, self.case, self.mode = router, session, case, mode
        self.route = route_of(case, mode)
        self.flights = flights(table, case.month and 3)
        self.later = flights(table, case.month) if case.month else None
        self.sent = self.odd = 0
        self.drift = ""
        """What was told of data that move, and after how many of them."""

    async def one(self, batch):
        """One request; what is no 200 is odd."""
        ids = [name for name, _, _ in batch]
        body = {"inputs": [
            {"name": "flight_id", "shape": [len(ids)], "datatype": "BYTES", "data": ids}
        ]}  # fmt: skip
        if self.case.told:
            minutes = [minutes for _, _, minutes in batch]
            body["inputs"].append(
                {"name": "dep_delay", "shape": [len(ids)], "datatype": "FP64", "data": minutes}
            )
        headers = {"X-Case": self.route, "X-Carrier": batch[0][1]}
        url = f"http://{self.router.host}:{self.router.port}{INFER}"
        async with self.session.post(url, json=body, headers=headers) as response:
            await response.read()
            self.odd += response.status != 200

    async def lot(self, size):
        """So many requests, :data:`TOGETHER` at a time, and the time to report them."""
        left = iter([list(itertools.islice(self.flights, self.case.rows)) for _ in range(size)])

        async def client():
            for batch in left:
                await self.one(batch)

        await asyncio.gather(*(client() for _ in range(TOGETHER)))
        self.sent += size
        seen, said = -1, 0
        for _ in range(STILL_MAX):  # until what is told stands still: on a busy machine, later
            await asyncio.sleep(REPORTED_S)
            seen, said = said, await self.seen()
            if said and seen == said:
                return

    async def seen(self):
        """Rows that gates know of."""
        gates = (await self.status()).get("gates", ())
        return sum(g[arm]["total"] for g in gates for arm in ("candidate", "stable") if g.get(arm))

    async def status(self):
        url = f"{self.router.admin}/api/v1/rollouts/{self.route}"
        async with self.session.get(url) as response:
            return await response.json()

    async def learnt(self):
        """Whether monitors have a reference, and have looked at a window beside it."""
        url = f"{self.router.admin}/api/v1/routes/{self.route}"
        async with self.session.get(url) as response:
            signals = (await response.json())["monitors"]["signals"]
        return all(signal["sizes"] for signal in signals)

    async def ready(self):
        """Until it has begun."""
        for _ in range(300):
            said = await self.status()
            if said.get("phase") == "progressing" and not standing(said):
                return
            await asyncio.sleep(0.1)
        raise RuntimeError(said)

    async def run(self, most, begin):
        """What is known after ``most`` requests, or when it was taken back.

        ``begin``: lets the rollouts begin that wait for stable's past.
        """
        if self.case.past and self.mode == "canary":
            await self.lot(self.case.past)
            self.sent = 0
            begin()
        await self.ready()
        if self.later is not None:  # the past first: March
            while not await self.learnt():
                await self.lot(100)
            self.flights, self.sent = self.later, 0
        while True:
            await self.lot(min(max(LOT, self.sent // GROWS), most - self.sent))
            said = await self.status()
            gone = said["phase"] == "rolled_back"
            if not self.drift and (text := next(filter(lambda n: "drift" in n, told(said)), "")):
                self.drift = f"after {self.sent:,}: {text}"
            if gone or self.sent >= most:
                return self.found(said, gone)

    def found(self, said, gone):
        gate = said["reason"].partition(":")[0] if gone else ""
        limit = self.case.canary if self.mode == "canary" else self.case.shadow
        good = not gone and bool(self.drift) is bool(self.later)
        if not self.case.passes:
            good = limit is None or (gone and self.sent <= limit)
        return {
            "case": self.case.name, "mode": self.mode, "rows": self.case.rows, "sent": self.sent,
            "limit": limit, "taken_back": gone, "gate": gate, "reason": said["reason"],
            "odd": self.odd, "drift": self.drift, "as_wanted": good,
            "gates": {g["gate"]: g["sentence"] for g in said.get("gates", ())},
        }  # fmt: skip


def told(said):
    """Everything that people are told of a rollout."""
    return [str(said.get(key, "")) for key in ("reason", "waits_for", "now")] + list(
        map(str, said.get("notes", ()))
    )


TABLE_ROWS = 2_000
"""Flights that a table has, in the order in which they are asked."""
OVER = 1.6
"""How far beyond its limit a case is asked before it is given up."""


async def play(cases, folder):
    """Every case, one after the other; a finding each."""
    table = load_table(models_cache())
    async with Fleet(cache=models_cache(), ready_s=180) as fleet:
        urls, services = {}, {}
        asked = [name for name, _, _ in itertools.islice(flights(table, 0), TABLE_ROWS)]
        for version in dict.fromkeys(["v2", *(case.version for case, _ in cases)]):
            if version in (WHOLE, SHIFTED):
                urls[version] = table_of(folder, version, table, asked)
                continue
            services[version] = await fleet.start_one(version)
            urls[version] = f'endpoints: ["{services[version].url}"]'
        urls["stable"] = (await fleet.start_one("v2", name="stable")).url
        file = folder / "policy.yaml"

        def begin():
            file.write_text(policy(folder, cases, urls))
            router.api("/api/v1/reload", "POST", {})

        file.write_text(policy(folder, cases, urls, begun=False))
        router = Router(folder, file)
        try:
            await asyncio.to_thread(router.serving)
            async with aiohttp.ClientSession() as session:
                for case, mode in cases:
                    if case.version in services:
                        await services[case.version].set_faults(seed=7, **case.faults)
                    limit = case.canary if mode == "canary" else case.shadow
                    most = limit if case.passes else int((limit or 3_000) * OVER)
                    yield await Running(router, session, case, mode, table).run(most, begin)
        finally:
            router.process.terminate()
            router.process.wait(30)


def line(found):
    how = f"{found['gate']} after {found['sent']:,}" if found["taken_back"] else "not taken back"
    if not found["taken_back"]:
        how += f" in {found['sent']:,}"
    limit = f"<= {found['limit']:,}" if found["limit"] else "said"
    if found["drift"]:
        how += "; " + found["drift"][:90]
    mark = "" if found["as_wanted"] else "  <-- not as wanted"
    return f"{found['mode']:7} {found['case']:26} {how:32} {limit}{mark}"


async def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--modes", default="canary,shadow")
    parser.add_argument("--out", type=Path)
    told = parser.parse_args(argv)
    cases = [
        (case, mode) for mode in told.modes.split(",") for case in CASES
        if (not told.only or case.name in told.only)
        and not (case.passes and getattr(case, mode) is None)
    ]  # fmt: skip
    began, all_found = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="bench-models-") as folder:
        async for found in play(cases, Path(folder)):
            all_found.append(found)
            print(line(found), flush=True)
    if told.out:
        told.out.write_text(json.dumps(all_found, indent=1) + "\n")
    wanted = sum(found["as_wanted"] for found in all_found if found["limit"])
    print(f"{wanted} of {sum(bool(found['limit']) for found in all_found)} as wanted, "
          f"{sum(found['odd'] for found in all_found)} answers were no 200; "
          f"{time.monotonic() - began:.0f} s")  # fmt: skip
    return 0 if wanted == sum(bool(found["limit"]) for found in all_found) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
