"""What a change costs in a store on a database of this machine.

python -m tests.fleet.cost
"""

from __future__ import annotations

import asyncio
import time
from statistics import median

from tests import programs
from tests.postgres_server import server_or_skip

programs.wants_asyncpg()

from router.control.state.postgres import PostgresStore  # noqa: E402 - asyncpg first
from router.control.state.record import Change  # noqa: E402 - asyncpg first
from tests.control.state.store_contract import entry, record  # noqa: E402 - asyncpg first

CHANGES = 100


async def measure(url):
    store, took = PostgresStore(url), []
    await store.open()
    for n in range(CHANGES):
        began = time.monotonic()
        await store.commit(Change(n, (record(n + 1),), (entry(n),)))
        took.append(time.monotonic() - began)
    await store.close()
    return took


def main():
    server = server_or_skip()
    try:
        took = sorted(asyncio.run(measure(server.url)))
        print(f"{CHANGES} changes in turn: median {median(took) * 1e3:.2f} ms, "
              f"99 % within {took[-2] * 1e3:.2f} ms")  # fmt: skip
    finally:
        server.end()


if __name__ == "__main__":
    programs.run(main)
