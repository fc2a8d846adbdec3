"""`python -m prediction_services load`: a run of given length, reported as JSON."""

import argparse
import asyncio
import contextlib
import signal
from typing import Any

from prediction_services.load.generator import LoadGenerator
from prediction_services.load.trips import flight_trips, invented_trips
from prediction_services.loops import loop_factory


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Send load as the parsed command line says; SIGINT and SIGTERM end it early.

    Returns:
        The report, with one entry a second under `timeline`.
    """
    if options.invented:
        trips = invented_trips(seed=options.seed)
    else:
        trips = flight_trips(options.cache, options.month)
    generator = LoadGenerator(
        options.url,
        trips,
        rate_per_s=options.rate,
        seed=options.seed,
        users=options.users,
        timeout_s=options.timeout,
    )
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_send(generator, options.seconds))
    timeline = [
        {"second": second, "sent": tally.sent, "bad": tally.bad, "versions": dict(tally.versions)}
        for second, tally in generator.timeline
    ]
    return {**generator.report(), "timeline": timeline}


async def _send(generator: LoadGenerator, seconds: float) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with generator:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stopping.wait()
