"""``rampway judge``: the verdict on two versions from an access log, without being in the path."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Lock
from typing import Annotated

import msgspec

from router import loops
from router.cli.exits import Exit, VerbFailed
from router.cli.found import log_found
from router.cli.output import Format, Output
from router.cli.parse import Option
from router.cli.say import echo
from router.cli.show import emit
from router.config.check import load
from router.config.problems import PolicyError
from router.core.policy import Route, split_address
from router.core.quantities import parse_share
from router.core.words import count
from router.simulation.access_log import NAMES, Logged, read_lines, read_time
from router.simulation.judge_log import LogJudge

ANSWER_S = 5.0
"""A caller that sends nothing for so long is let go: one is served at a time."""

EXITS = {"pass": Exit.OK, "fail": Exit.DEGRADED, "pending": Exit.TIMED_OUT}


def run(
    *,
    policy: Annotated[Path, Option("Policy file, whose gates decide.")] = Path("policy.yaml"),
    log: Annotated[Path, Option("Access log of the router, nginx or Envoy; - reads stdin.")] = Path(
        "-"
    ),
    route: Annotated[str, Option("Route; may be left out if just one has a rollout.")] = "",
    stable: Annotated[str, Option("What the log calls stable; absent: as the policy.")] = "",
    candidate: Annotated[str, Option("What the log calls the candidate.")] = "",
    weight: Annotated[
        str, Option("The candidate's share, such as 10%, where lines do not say it.")
    ] = "",
    since: Annotated[
        str,
        Option(
            "When the split began, such as 2026-11-27T09:00:00+00:00; stable's lines before are "
            "its past. Absent: the first line that says a share, or is the candidate's."
        ),
    ] = "",
    fields: Annotated[
        str, Option("Names in the log that are others: version=variant,user=uid,seconds=rt.")
    ] = "",
    serve: Annotated[
        str,
        Option("Answer there while the log is read: GET for Argo's web metric, POST for hooks."),
    ] = "",
    output: Format = Output.TABLE,
) -> None:
    """Judge two versions by an access log: exit 0 passed, 3 worse, 4 not enough yet.

    The gates of the policy, the same evidence and the same sentence as in the router; only the
    traffic is split by somebody else (nginx's split_clients, Envoy's weighted clusters, a mesh).
    """
    judge = _judge(policy, route, stable, candidate, weight, since)
    entries = read_lines(_lines(log), _names(fields))
    if serve:
        _serve(judge, entries, serve)
        return
    judge.take(entries)
    judge.finish()
    found = judge.verdict()
    if output is Output.JSON:
        emit(log_found(found))
    else:
        echo(f"{found.verdict}: {found.sentence}")
        told = ", ".join(f"{name} {count(n, 'request')}" for name, n in found.requests.items())
        skipped = f"; {count(found.skipped, 'line')} not understood" if found.skipped else ""
        echo(f"{told}{skipped}")
    if found.verdict != "pass":
        raise VerbFailed(EXITS[found.verdict], "")


def _judge(  # noqa: PLR0917 - the options of the command
    path: Path, name: str, stable: str, candidate: str, weight: str, since: str
) -> LogJudge:  # fmt: skip
    try:
        routes = load(path).policy.routes
    except PolicyError as error:
        raise VerbFailed(Exit.USAGE, f"{path} cannot be used\n{error}") from None
    found: list[Route] = [one for one in routes if one.rollout and name in ("", one.name)]
    if len(found) != 1 or found[0].rollout is None:
        known = ", ".join(one.name for one in routes if one.rollout is not None)
        raise VerbFailed(Exit.USAGE, f"name a route with a rollout; there is {known or 'none'}")
    chosen, rollout = found[0], found[0].rollout
    try:
        weight_bp = parse_share(weight) if weight else None
    except ValueError as error:
        raise VerbFailed(Exit.USAGE, f"--weight: {error}") from None
    try:
        since_s = read_time(since) if since else float("inf")
    except ValueError:
        example = "2026-11-27T09:00:00+00:00, or seconds since 1970"
        raise VerbFailed(Exit.USAGE, f"--since: expected {example}, got {since!r}") from None
    return LogJudge(
        chosen, rollout, stable=stable or chosen.stable,
        candidate=candidate or rollout.candidate, weight_bp=weight_bp, since_s=since_s,
    )  # fmt: skip


def _names(text: str) -> dict[str, str]:
    names = {}
    for pair in filter(None, text.split(",")):
        key, _, value = pair.partition("=")
        if key not in NAMES or not value:
            known = ", ".join(NAMES)
            raise VerbFailed(Exit.USAGE, f"--fields: expected KEY=NAME with {known}, got {pair!r}")
        names[key] = value
    return names


def _lines(path: Path) -> Iterator[str]:
    if str(path) == "-":
        yield from sys.stdin
        return
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            yield from lines
    except OSError as error:
        raise VerbFailed(Exit.USAGE, f"{path}: {error.strerror}") from None


def _serve(judge: LogJudge, entries: Iterator[Logged | None], address: str) -> None:
    """GET: 200 with the verdict, for Argo's ``web`` metric (``jsonPath: "{$.value}"``).

    POST: 200 for a pass, 409 for anything else, as Flagger's webhooks and other hooks ask.
    One thread reads, one answers; the verdict is made between two lines.
    """
    between = Lock()

    def read() -> None:
        for entry in entries:
            with between:
                judge.take((entry,))
        with between:
            judge.finish()

    class Answers(BaseHTTPRequestHandler):
        timeout = ANSWER_S

        def do_GET(self) -> None:
            self._answer(always=True)

        def do_POST(self) -> None:
            self._answer(always=False)

        def _answer(self, *, always: bool) -> None:
            with between:
                found = judge.verdict()
            body = msgspec.json.encode(log_found(found))
            self.send_response(200 if always or found.verdict == "pass" else 409)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parent's
            pass  # stdout is the caller's

    try:
        server = HTTPServer(split_address(address), Answers)
    except (ValueError, OSError) as error:
        raise VerbFailed(Exit.USAGE, f"--serve {address}: {error}") from None
    loops.thread("judge log", read)
    echo(f"rampway: answers at http://{address}/ (GET: verdict; POST: 200 to go on)", err=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
