"""What all changing verbs share: ask, order once, say what is in force now."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from fnmatch import fnmatchcase

from router.cli.client import Client, Unreachable, path_of
from router.cli.exits import Exit, VerbFailed
from router.cli.options import AdminLink, OrderOptions, interactive
from router.cli.output import Output
from router.cli.say import confirm, echo
from router.cli.show import ENDED, chosen, coloured, emit
from router.control.told.answers import OrderView
from router.core.words import count, duration, percent

AGAIN_S = 0.5
"""Pause before an order whose answer was lost is sent again under the same id."""


DRAIN_S = 5.0
"""How long a verb watches what is still in flight on the version that lost its traffic."""

DRAIN_EVERY_S = 0.25
"""Workers report as often."""


def order(
    link: AdminLink, change: OrderOptions, output: Output, route: str, command: str, *,
    fields: Mapping[str, object] | None = None, risky: bool = False,
) -> None:  # fmt: skip
    """Give one order. ``risky`` ones (more traffic for a candidate) are confirmed at a terminal.

    What was confirmed is what is carried out: the question shows a dry run, and the order then
    names the revision that was looked at.
    """
    client = link.client()
    body: dict[str, object] = {"reason": change.reason, **(fields or {})}
    if any(sign in route for sign in "*?["):
        routes = _matching(client, route, command)
        _sure(change, command, routes)
        results, refused = _sent_to(client, routes, command, body, dry_run=change.dry_run)
        _told(output, results, refused)
        return
    route = chosen(client, route)
    revision = change.if_revision
    if risky and not (change.yes or change.dry_run) and interactive():
        revision = _confirm(client, route, command, body, revision)
    if change.dry_run:
        body["dry_run"] = True
    result = _send(client, route, command, body, revision)
    if output is Output.JSON:
        emit(result)
        return
    echo(_said(result))
    if result.draining:
        echo(f"  {_drained(client, route, result.draining)}")


def _matching(client: Client, pattern: str, command: str) -> list[str]:
    """Routes of a pattern such as ``ranking@*`` for which the order can mean something."""
    known = [r for r in client.routes() if r.candidate and fnmatchcase(r.name, pattern)]
    found = [r.name for r in known if command in {"rollback", "retry"} or r.phase not in ENDED]
    if not found:
        what = "has no live rollout" if known else "is no route with a rollout"
        raise VerbFailed(Exit.USAGE, f"nothing of {pattern} {what}")
    return found


def _sure(change: OrderOptions, command: str, routes: list[str]) -> None:
    if change.if_revision is not None:
        raise VerbFailed(Exit.USAGE, "--if-revision is about one route: name it")
    asks = command not in _NEVER_ASKED and not (change.yes or change.dry_run) and interactive()
    if asks and not confirm(f"{command} {', '.join(routes)}?"):
        raise VerbFailed(Exit.USAGE, "nothing was changed")


def _sent_to(
    client: Client, routes: list[str], command: str, body: dict[str, object], *, dry_run: bool
) -> tuple[list[OrderView], dict[str, VerbFailed]]:
    """The same order to several routes; one that refuses keeps none of the others from it."""
    results: list[OrderView] = []
    refused: dict[str, VerbFailed] = {}
    asked = {**body, "dry_run": True} if dry_run else body
    for route in routes:
        try:
            results.append(_send(client, route, command, asked, None))
        except VerbFailed as failed:
            refused[route] = failed
    return results, refused


def _told(output: Output, results: list[OrderView], refused: dict[str, VerbFailed]) -> None:
    if output is Output.JSON:
        emit({"results": results, "refused": {route: str(why) for route, why in refused.items()}})
    else:
        told = [*map(_said, results), *(f"{route}: {why}" for route, why in refused.items())]
        echo("\n".join(told))
    if refused:
        code, whole = next(iter(refused.values())).code, len(results) + len(refused)
        raise VerbFailed(code, f"{len(refused)} of {whole} refused")


_NEVER_ASKED = ("abort", "rollback", "pause")
"""What takes traffic away, or stands still, is done at once."""


def _drained(client: Client, route: str, left: dict[str, int]) -> str:
    """What a switch or a rollback left in flight, and what became of it within DRAIN_S.

    Nothing has to wait for it: the new requests are where they belong, and every old one finishes
    where it began.
    """
    before, since = _in_flight(left), time.monotonic()
    while left and (waited := time.monotonic() - since) < DRAIN_S:
        time.sleep(DRAIN_EVERY_S)
        now = client.rollout(route)
        left = now.draining if now is not None else {}
    if left:
        return f"{before} were in flight; after {duration(DRAIN_S)} still {_in_flight(left)}"
    return f"{before} were in flight; all have finished after {duration(waited + DRAIN_EVERY_S)}"


def _in_flight(left: dict[str, int]) -> str:
    return ", ".join(f"{count(n, 'request')} on {version}" for version, n in left.items())


def _send(
    client: Client, route: str, command: str, body: dict[str, object], revision: int | None
) -> OrderView:
    """Once, whatever the network does: a repetition carries the same id."""
    headers = {"Idempotency-Key": secrets.token_hex(12)}
    if revision is not None:
        headers["If-Match"] = f'"{revision}"'
    path = path_of("rollouts", route, command)
    try:
        return client.post(OrderView, path, body, headers)
    except Unreachable:
        time.sleep(AGAIN_S)
        return client.post(OrderView, path, body, headers)


def _confirm(
    client: Client, route: str, command: str, body: dict[str, object], revision: int | None
) -> int:
    before = client.rollout(route)
    seen = before.revision if before and revision is None else revision
    preview = _send(client, route, command, {**body, "dry_run": True}, seen)
    echo(_said(preview))
    if not confirm("Do it?"):
        raise VerbFailed(Exit.USAGE, "nothing was changed")
    return int(seen or 0)


def _said(result: OrderView) -> str:
    """``flight-delay: promoted by alice`` and where that leaves the traffic."""
    place = (
        f"{coloured(result.phase)}, step {result.step}, "
        f"{percent(result.weight_bp)} on the candidate, revision {result.revision}"
    )
    follows = [f"  next: {result.next}"] if result.next else []
    if result.dry_run:
        would = f"{result.route} would be: {result.reason}"
        return "\n".join([would, f"  {place} (nothing was changed)", *follows])
    lines = [f"{result.route}: {result.reason}", f"  {place}"]
    if result.repeated:
        lines.append("  this order had been carried out before")
    elif result.took_s:
        lines[-1] += f"; in force after {duration(result.took_s)}"
    if not result.durable:
        lines.append("  NOT YET WRITTEN: the store does not work; it is written when it does")
    return "\n".join([*lines, *follows])
