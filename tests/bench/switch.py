"""A blue-green switch and its undo under load, through the real router with real services.

    python -m tests.bench.switch [--rounds 10] [--rate 500] [--latency-ms 30]

Clients send at a steady rate. In each round an order switches everybody to the candidate and, a
second later, another takes it back. Every request is judged by the moment at which it was
*planned*: one that was planned after an order's acknowledgement must be answered by the new side,
and what was in flight at that moment must end well on whichever side it began.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientSession

from prediction_services.demo.process import RouterProcess
from prediction_services.fleet import Fleet
from prediction_services.load.generator import LoadGenerator
from prediction_services.load.trips import invented_trips
from tests.bench.rollback import ready
from tests.ports import free_port

POLICY = """\
listen: 127.0.0.1:{port}
admin: {{listen: "127.0.0.1:{admin}"}}
store: sqlite:///{folder}/rampway.db
routes:
  - name: flights
    versions:
      blue: {{endpoints: ["{blue}"]}}
      green: {{endpoints: ["{green}"]}}
    stable: blue
    rollout:
      candidate: green
      strategy: {{blue_green: {{hold: 1h, approval: {{}}, bake: 1h}}}}
      gates: [guard]
"""
APART_S = 1.0
"""Between two orders; every request that was in flight at one has ended before the next."""


@dataclass(frozen=True)
class Order:
    """One order as its client saw it, times on one clock."""

    name: str
    sent_s: float
    acknowledged_s: float
    expected: str
    """Version of every request from then on."""

    @property
    def took_ms(self):
        return (self.acknowledged_s - self.sent_s) * 1e3


async def give(client, url, name, expected):
    """Carry out one order."""
    body = {"reason": "bench"} | ({"force": True} if name == "retry" else {})
    sent = time.perf_counter()
    async with client.post(f"{url}/{name}", json=body, headers={"If-Match": "*"}) as answer:
        answer.raise_for_status()
        await answer.read()
    return Order(name, sent, time.perf_counter(), expected)


async def rounds(client, url, count):
    """Every order but the first wait, in order."""
    await asyncio.sleep(APART_S)
    orders = []
    for number in range(count):
        if number:
            await give(client, url, "retry", "blue")
        for name, expected in (("switch", "green"), ("rollback", "blue")):
            orders.append(await give(client, url, name, expected))
            await asyncio.sleep(APART_S)
    return orders


async def measure(count=10, rate=500.0, latency_ms=30.0):
    """All rounds; the figures."""
    ended = []

    def on_answer(answer):
        now = time.perf_counter()
        ended.append((now - answer.latency_s, now, answer.version, answer.good))

    async with Fleet() as fleet:
        blue = await fleet.start_one("static", name="blue", faults={"latency_ms": latency_ms})
        green = await fleet.start_one("static", name="green", faults={"latency_ms": latency_ms})
        with tempfile.TemporaryDirectory() as name:
            folder, port, admin_port = Path(name), free_port(), free_port()
            policy = folder / "policy.yaml"
            policy.write_text(POLICY.format(
                port=port, admin=admin_port, folder=folder, blue=blue.url, green=green.url,
            ))  # fmt: skip
            admin = f"http://127.0.0.1:{admin_port}"
            async with RouterProcess(policy, folder / "log") as router, ClientSession() as client:
                await ready(client, f"{admin}/readyz", router)
                load = LoadGenerator(
                    f"http://127.0.0.1:{port}", invented_trips(), rate_per_s=rate, seed=1,
                    on_answer=on_answer,
                )  # fmt: skip
                async with load:
                    orders = await rounds(client, f"{admin}/api/v1/rollouts/flights", count)
    return judged(orders, ended, load.tally)


def judged(orders, ended, tally):
    """What became of the requests around each order."""
    stray = flying = lost = after = 0
    following = [order.sent_s for order in orders[1:]] + [float("inf")]
    for order, until in zip(orders, following, strict=True):
        for planned, done, version, good in ended:
            if order.acknowledged_s < planned and done < until:
                after += 1
                stray += version != order.expected
            elif planned < order.sent_s and order.acknowledged_s < done:
                flying += version != order.expected
                lost += not good
    took = {
        kind: [order.took_ms for order in orders if order.name == kind]
        for kind in ("switch", "rollback")
    }
    return {
        "requests": tally.sent, "failed": tally.bad, "planned_after_an_order": after,
        "of_these_on_the_old_version": stray, "in_flight_on_the_old_version": flying,
        "of_these_lost": lost,
        **{f"{kind}_acknowledged_ms": {"median": round(statistics.median(all_), 1),
                                       "max": round(max(all_), 1)} for kind, all_ in took.items()},
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--latency-ms", type=float, default=30.0, help="of the services")
    args = parser.parse_args()
    print(json.dumps(asyncio.run(measure(args.rounds, args.rate, args.latency_ms)), indent=1))


if __name__ == "__main__":
    main()
