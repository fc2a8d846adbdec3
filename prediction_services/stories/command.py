"""`python -m prediction_services story NAME`."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

from prediction_services.demo.admin import AdminError
from prediction_services.demo.process import RouterError
from prediction_services.fleet import ServiceError
from prediction_services.loops import loop_factory
from prediction_services.stories import TITLES
from prediction_services.stories.kept import cache, table
from prediction_services.stories.people import automation
from prediction_services.stories.scene import PlayError, Scene
from prediction_services.stories.told import score, set_apart

PLAYS: dict[str, Callable[[Scene], Awaitable[None]]] = {
    "automation": automation, "table": table, "cache": cache, "score": score, "set": set_apart,
}  # fmt: skip
"""The visible table."""


def run(options: argparse.Namespace) -> int:
    """Play it.

    Returns:
        0 if everything that had to happen did; 1 if not; 130 after Ctrl-C.
    """
    print(f"{options.name}: {TITLES[options.name]}")
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_play(options))
    except KeyboardInterrupt:
        print("interrupted; everything is stopped")
        return 130
    except (PlayError, ServiceError, RouterError, AdminError) as error:
        print(f"story: {error}", file=sys.stderr)
        return 1
    return 0


async def _play(options: argparse.Namespace) -> None:
    async with Scene(options.cache, lambda text: print(f"  {text}", flush=True)) as scene:
        await PLAYS[options.name](scene)
