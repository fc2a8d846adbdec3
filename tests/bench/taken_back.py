"""Is a rollback later while predictions are read?

    python -m tests.bench.taken_back [--share 10%] [--each 16]

One router, three clients in a closed loop on a route that is read or on one that is not, in turn;
beside it route after route gets a candidate that fails always. Printed is what the router measures
itself: from the report that decided to the last worker's new table, and whether reading makes it
later than chance does.
"""

import argparse
import http.client
import random
import statistics
import tempfile
import threading
import time
from pathlib import Path

from tests.live.test_predictions import ROUTE, SAMPLED, TOP, asked, ready, status
from tests.reliability.whole import PREDICT, Router, Service, until

CLIENTS = 3
SETTLE_S = 0.6
ASKED_MAX = 400
SHUFFLES = 10_000


def unread(text):
    lines = [line for line in text.splitlines() if "predictions:" not in line]
    return "\n".join(lines).replace(", {nulls: {}}", "") + "\n"


def client_of(router):
    return http.client.HTTPConnection("127.0.0.1", router.port, timeout=20)


def ask(client, case, number):
    named = {"X-Case": case, "Content-Type": "application/json"}
    client.request("POST", PREDICT, asked(number), named)
    client.getresponse().read()


def taken_back_ms(router, name):
    """Fail until it is taken back; what the router says that took."""
    ready(router, name)
    client = client_of(router)
    for number in range(ASKED_MAX):
        ask(client, name, number)
        if number % 5 == 4 and status(router, name)["phase"] == "rolled_back":
            break
    until(lambda: status(router, name)["phase"] == "rolled_back")
    series = f'rampway_rollback_seconds_sum{{route="{name}"}}'
    found = until(lambda: [
        line for line in router.api("/metrics")[1].splitlines() if line.startswith(series)
    ])  # fmt: skip
    return float(found[0].split()[-1]) * 1e3


def compared(read, plain):
    """By how much the median of ``read`` is larger, and how often it is when both are shuffled."""

    def later(values):
        first, second = values[: len(read)], values[len(read) :]
        return statistics.median(first) - statistics.median(second)

    draw, both = random.Random(1), [*read, *plain]
    seen, hits = later(both), 0
    for _ in range(SHUFFLES):
        draw.shuffle(both)
        hits += later(both) >= seen
    return seen, hits / SHUFFLES


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", default="10%")
    parser.add_argument("--each", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), options)


def measure(folder, options):
    stable, good, failing = services = [Service(name, folder) for name in ("v1", "v2", "v3")]
    for service in services:
        service.serving()
    failing.faults(error_rate=1.0)
    sampled = SAMPLED.replace("100%", options.share)
    busy = ROUTE.format(name="read", sampled=sampled, gate="nulls: {}", v1=stable.url, v2=good.url)
    names = [f"victim-{number}" for number in range(2 * options.each)]
    victims = [
        unread(ROUTE.format(name=name, sampled=sampled, gate="nulls: {}", v1=stable.url,
                            v2=failing.url))
        for name in names
    ]  # fmt: skip
    plain = unread(busy.replace("name: read", "name: plain").replace("exact: read", "exact: plain"))
    policy = folder / "policy.yaml"
    policy.write_text(TOP.format(folder=folder) + busy + plain + "".join(victims))
    router = Router(folder, policy)
    router.serving()
    which, stop = ["read"], threading.Event()

    def load():
        client, number = client_of(router), 0
        while not stop.is_set():
            number += 1
            ask(client, which[0], number)

    threads = [threading.Thread(target=load) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    found = {"read": [], "plain": []}
    for number, name in enumerate(names):
        which[0] = ("read", "plain")[(number + number // 2) % 2]
        time.sleep(SETTLE_S)
        found[which[0]].append(taken_back_ms(router, name))
    stop.set()
    for thread in threads:
        thread.join()
    for name, took in found.items():
        low, middle, high = statistics.quantiles(took, n=4)
        print(
            f"beside a route that is {name}: rollback after {middle:.1f} ms (median; quartiles "
            f"{low:.1f}, {high:.1f}), at most {max(took):.1f} ms, {len(took)} rollbacks"
        )
    later, chance = compared(found["read"], found["plain"])
    print(f"later by {later:+.1f} ms with reading (medians); so much or more by chance in "
          f"{chance:.0%} of {SHUFFLES:,} shuffles")  # fmt: skip
    router.end()
    for service in services:
        service.end()


if __name__ == "__main__":
    main()
