"""`python -m prediction_services demo`: the whole play, or a stage that stays up."""

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
from rich.console import Console

from prediction_services.demo.cast import CAST, V2, V3
from prediction_services.demo.expectations import Finding, check
from prediction_services.demo.governor import Governor
from prediction_services.demo.picture import Picture
from prediction_services.demo.playground import stay
from prediction_services.demo.process import RouterError
from prediction_services.demo.recorder import Recorder
from prediction_services.demo.recording import Recording
from prediction_services.demo.report import render
from prediction_services.demo.stage import Say, SetupError, Stage, StageOptions
from prediction_services.demo.story import Story, StoryError
from prediction_services.fleet import ServiceError
from prediction_services.load import LoadGenerator, Trip, flight_trips
from prediction_services.loops import loop_factory

USERS = 2_000
STAY_CAST = (V2, V3)
"""The versions of `--stay`."""

INTERRUPTED = 130
"""Exit status after Ctrl-C (128 + SIGINT), as shells have it."""


def run(options: argparse.Namespace) -> int:
    """Play, report, check.

    Returns:
        0 if everything that had to happen did; 1 if not; 130 after Ctrl-C.
    """
    console = Console(highlight=False)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(_until_told(options, console))
    except KeyboardInterrupt:
        console.print("interrupted; everything is stopped")
        return INTERRUPTED
    except (SetupError, ServiceError, RouterError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


async def _until_told(options: argparse.Namespace, console: Console) -> int:
    """The demo as a task that SIGTERM cancels, as the runner does on SIGINT."""
    task = asyncio.current_task()
    assert task is not None, "inside a runner"  # noqa: S101 - narrows the type
    told = asyncio.Event()

    def terminate() -> None:
        told.set()
        task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
    try:
        return await (stay(_stage_options(options), console) if options.stay else
                      _demo(options, console))  # fmt: skip
    except asyncio.CancelledError:
        if told.is_set():
            raise KeyboardInterrupt from None
        raise


def _stage_options(options: argparse.Namespace) -> StageOptions:
    cast = STAY_CAST if options.stay else CAST
    ports = {"port": 8080, "admin_port": 8081} if options.stay else {}
    return StageOptions(
        folder=options.folder, cache=options.cache, cast=cast, engine=options.engine, **ports
    )


async def _demo(options: argparse.Namespace, console: Console) -> int:
    begun_s = time.monotonic()
    console.print("Rampway demo: real models, real data, the real router; about 80 s in all")
    reading = asyncio.create_task(asyncio.to_thread(flight_trips, options.cache))
    async with Stage(_stage_options(options), _say(console)) as stage:
        trips = await reading
        took_s = time.monotonic() - begun_s
        console.print(f"  ready after {took_s:.0f} s; dashboard {stage.admin.url}")
        recording, trouble = await _play(options, console, stage, trips)
    findings = check(recording)
    if trouble:
        findings.insert(0, Finding("the play went through", met=False, text=trouble))
    recording.save(options.folder / "recording.json")
    options.report.write_text(render(recording, findings), encoding="utf-8")
    _conclude(console, findings, options.report)
    return 0 if all(finding.met for finding in findings) else 1


def _say(console: Console) -> Say:
    return lambda text: console.print(f"  {text}", soft_wrap=True)


async def _play(
    options: argparse.Namespace, console: Console, stage: Stage, trips: Sequence[Trip]
) -> tuple[Recording, str]:
    """The play with load, recorder and picture around it; says what went wrong, if anything."""
    recording = Recording(
        started=time.time(),
        rate_per_s=options.rate,
        seed=options.seed,
        versions={player.name: player.summary for player in stage.options.cast},
    )
    recorder = Recorder(recording, stage.admin)
    load = LoadGenerator(
        stage.url,
        trips,
        rate_per_s=options.rate,
        seed=options.seed,
        users=USERS,
        on_answer=recorder.on_answer,
    )
    story = Story(stage, recorder)
    picture = Picture(console, story, recorder)
    watching = [
        asyncio.create_task(watch)
        for watch in (recorder.watch(), picture.show(), Governor(load, recorder).govern())
    ]
    trouble = ""
    try:
        async with load:
            await story.play()
    except StoryError as error:
        trouble = str(error)
    finally:
        for task in watching:
            task.cancel()
        ended = await asyncio.gather(*watching, return_exceptions=True)
    with contextlib.suppress(aiohttp.ClientError):  # a router that ended has nothing more to say
        await recorder.look()
        await recorder.scrape()
    recorder.finish(load.report())
    if not console.is_terminal:
        picture.flush_lines()
    return recording, trouble or _crash(ended)


def _crash(ended: Sequence[object]) -> str:
    """What a watcher died of; a recording with holes proves nothing."""
    crashed = (e for e in ended if isinstance(e, Exception))
    return "; ".join(f"{type(error).__name__}: {error}" for error in crashed)


def _conclude(console: Console, findings: Sequence[Finding], report: Path) -> None:
    console.print()
    for finding in findings:
        sign, style = ("ok     ", "green") if finding.met else ("MISSING", "bold red")
        console.print(f"[{style}]{sign}[/] {finding.name}: ", end="")
        console.print(finding.text, markup=False, soft_wrap=True)
    console.print(f"\nreport: {report}", soft_wrap=True)
