"""How many bad answers a candidate gives before it is taken back, through the real router.

    python -m tests.bench.rollback [--runs 20] [--rate 200] [--errors 1.0] [--good 3] [--gates …]

Stable fails 1 % of its requests, the candidate has 5 % of the traffic and is as good as stable
until it begins to fail: at once with ``--good 0``. Each run is a fresh router with a fresh store;
the counts are those of the services themselves (what they injected) and of the clients, less what
stable itself failed.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from aiohttp import ClientSession

from prediction_services.demo.process import RouterProcess
from prediction_services.fleet import Fleet
from prediction_services.load.generator import LoadGenerator
from prediction_services.load.trips import invented_trips
from tests.ports import free_port

POLICY = """\
listen: 127.0.0.1:{port}
admin: {{listen: "127.0.0.1:{admin}"}}
store: sqlite:///{folder}/rampway.db
routes:
  - name: flights
    versions:
      stable: {{endpoints: ["{stable}"]}}
      candidate: {{endpoints: ["{candidate}"]}}
    stable: stable
    rollout:
      candidate: candidate
      strategy: {{canary: {{steps: [{{weight: 5%, hold: 1h}}]}}}}
      gates: [{gates}]
      rescue: {{}}
"""
GOOD_S = 3.0
"""Good traffic before the candidate turns bad."""
GATES = "error_rate, guard"
READY_S = 60.0
GIVE_UP_S = 60.0


@dataclass(frozen=True)
class Live:
    """One kind of run."""

    rate: float = 200.0
    errors: float = 1.0
    good_s: float = GOOD_S
    gates: str = GATES


async def one_run(pair, kind, seed):
    """One rollback; the counts."""
    stable, candidate = pair
    await stable.set_faults(error_rate=0.01, seed=seed)
    await candidate.set_faults(error_rate=0.01 if kind.good_s else kind.errors, seed=seed + 1)
    with tempfile.TemporaryDirectory() as name:
        folder, port, admin_port = Path(name), free_port(), free_port()
        policy = folder / "policy.yaml"
        policy.write_text(POLICY.format(
            port=port, admin=admin_port, folder=folder, stable=stable.url,
            candidate=candidate.url, gates=kind.gates,
        ))  # fmt: skip
        admin = f"http://127.0.0.1:{admin_port}/api/v1/rollouts/flights"
        async with RouterProcess(policy, folder / "log") as router, ClientSession() as client:
            await ready(client, f"http://127.0.0.1:{admin_port}/readyz", router)
            url = f"http://127.0.0.1:{port}"
            trips = invented_trips()
            async with LoadGenerator(url, trips, rate_per_s=kind.rate, seed=seed) as load:
                if kind.good_s:
                    await asyncio.sleep(kind.good_s)
                    await candidate.set_faults(error_rate=kind.errors, seed=seed + 2)
                turned = time.monotonic()
                status = await rolled_back(client, admin)
                seconds = time.monotonic() - turned
                await asyncio.sleep(0.3)
                injected = (await candidate.faults())["injected"]
            clients = load.tally
            why = await why_text(admin_port)
    own = (await stable.faults())["injected"].get("error", 0)
    return {
        "bad": injected.get("error", 0), "seconds": seconds, "client_failures": clients.bad - own,
        "requests": clients.sent, "reason": status["reason"], "why": why,
    }  # fmt: skip


async def ready(client, url, router):
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and router.running:
        try:
            async with client.get(url) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        await asyncio.sleep(0.05)
    raise RuntimeError("the router did not become ready")


async def rolled_back(client, admin):
    deadline = time.monotonic() + GIVE_UP_S
    while time.monotonic() < deadline:
        async with client.get(admin) as answer:
            status = await answer.json()
        if status["phase"] == "rolled_back":
            return status
        await asyncio.sleep(0.02)
    raise RuntimeError("no rollback")


async def why_text(admin_port):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "router", "why", "flights",
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "RAMPWAY_ADMIN": f"http://127.0.0.1:{admin_port}"},
    )  # fmt: skip
    out, _ = await process.communicate()
    return out.decode()


async def measure(runs, kind):
    """All runs, each printed as it comes."""
    results = []
    async with Fleet() as fleet:
        stable = await fleet.start_one("static", name="stable")
        candidate = await fleet.start_one("static", name="candidate")
        for number in range(runs):
            found = await one_run((stable, candidate), kind, 100 + 10 * number)
            results.append(found)
            print(f"run {number + 1}: {found['bad']} bad candidate answers, "
                  f"{found['seconds']:.2f} s, clients saw {found['client_failures']} of them "
                  f"in {found['requests']} requests", flush=True)  # fmt: skip
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--errors", type=float, default=1.0, help="share of answers that fail")
    parser.add_argument("--good", type=float, default=GOOD_S, help="seconds before it turns bad")
    parser.add_argument("--gates", default=GATES, help="as the policy lists them")
    args = parser.parse_args()
    kind = Live(args.rate, args.errors, args.good, args.gates)
    results = asyncio.run(measure(args.runs, kind))
    bad = sorted(found["bad"] for found in results)
    seconds = sorted(found["seconds"] for found in results)
    p95 = min(len(bad) - 1, round(0.95 * (len(bad) - 1)))
    print(json.dumps({
        "runs": len(bad), **asdict(kind),
        "bad_median": statistics.median(bad), "bad_p95": bad[p95], "bad_max": bad[-1],
        "seconds_median": round(statistics.median(seconds), 3),
        "client_failures": sum(found["client_failures"] for found in results),
    }, indent=1))  # fmt: skip
    print(results[-1]["why"])


if __name__ == "__main__":
    main()
