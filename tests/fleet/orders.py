"""How long an order takes over three routers on one database, beside one router, in turns.

python -m tests.fleet.orders [ROUNDS]

In each round both are told to take a candidate with half of the traffic back. The time is from the
order's arrival until the router that leads knows that the workers of every router have the table.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median

from tests import programs
from tests.fleet.replicas import HALF, PATIENT, Routers
from tests.postgres_server import server_or_skip
from tests.reliability.whole import Service, Site, until

ROUNDS = 11


def schema(server, name):
    server.sql(f"CREATE SCHEMA {name}")
    return f"{server.url}?options=-csearch_path%3D{name}"


def half(life):
    """The candidate has half of the traffic."""
    return life.status()["weight_bp"] == 5_000


def taken_back_ms(life):
    """One order, from the start of the attempt on."""
    until(lambda: half(life), what="half of the traffic")
    took_ms = 1e3 * life.order("rollback", reason="the bench")["took_s"]
    life.order("retry", reason="the bench", force=True)
    return took_ms


def measure(folder, services, server, rounds):
    """Milliseconds of one router and of three, by round."""
    single = Site(folder, services)
    single.write(store=schema(server, "one"), rollout=HALF, top=PATIENT)
    three = Routers(folder, services, schema(server, "three"))
    found = []
    try:
        alone = single.start()
        three.start()
        leader = three.leader.life
        for number in range(rounds + 1):
            pair = [alone, leader] if number % 2 else [leader, alone]
            took = {life.admin: taken_back_ms(life) for life in pair}
            found.append((took[alone.admin], took[leader.admin]))
    finally:
        three.end()
        single.end()
    return found[1:]  # nothing of the first was warm


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    server = server_or_skip()
    try:
        with tempfile.TemporaryDirectory() as name:
            services = [Service(one, Path(name)) for one in ("v1", "v2")]
            try:
                for one in services:
                    one.serving()
                found = measure(Path(name), services, server, rounds)
            finally:
                for one in services:
                    one.end()
    finally:
        server.end()
    one, three = ([round(row[n], 1) for row in found] for n in (0, 1))
    print(f"one router:    median {median(one):.1f} ms of {one}")
    print(f"three routers: median {median(three):.1f} ms of {three}")
    print(f"ratio by round: median {median(b / a for a, b in found):.2f}")


if __name__ == "__main__":
    programs.run(main)
