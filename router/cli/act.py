"""The orders: one function a verb. How an order is given and answered is in :mod:`orders`."""

from __future__ import annotations

from typing import Annotated

from router.cli.exits import Exit, VerbFailed
from router.cli.options import AdminLink, OrderOptions, RouteName
from router.cli.orders import order
from router.cli.output import Format, Output
from router.cli.parse import Argument, Option
from router.cli.say import echo
from router.cli.show import emit
from router.control.told.answers import FrozenView


def promote(
    link: AdminLink,
    change: OrderOptions,
    route: RouteName = "",
    full: Annotated[bool, Option("Skip all steps: to the bake at 100 %.", "--full")] = False,
    output: Format = Output.TABLE,
) -> None:
    """Leave the present step now (also: approve it); --full skips all steps."""
    order(link, change, output, route, "promote", fields={"full": full}, risky=True)


def switch(
    link: AdminLink,
    change: OrderOptions,
    route: RouteName = "",
    output: Format = Output.TABLE,
) -> None:
    """Blue-green: all new requests to the candidate now; rollback undoes it at once."""
    order(link, change, output, route, "switch", risky=True)


def pause(
    link: AdminLink, change: OrderOptions, route: RouteName = "", output: Format = Output.TABLE
) -> None:
    """Stand still at the present weight; gates go on watching and may roll back."""
    order(link, change, output, route, "pause")


def resume(
    link: AdminLink, change: OrderOptions, route: RouteName = "", output: Format = Output.TABLE
) -> None:
    """Go on after a pause with what remained of the step."""
    order(link, change, output, route, "resume", risky=True)


def abort(
    link: AdminLink, change: OrderOptions, route: RouteName = "", output: Format = Output.TABLE
) -> None:
    """Give up before completion: all traffic to stable, at once. Never asks."""
    order(link, change, output, route, "abort")


def rollback(
    link: AdminLink,
    change: OrderOptions,
    route: RouteName = "",
    to: Annotated[
        str, Option("The version that must get the traffic; refused if it is another.")
    ] = "",
    *,
    instant: Annotated[
        bool, Option("All of it now, although the policy returns traffic in steps.", "--instant")
    ] = False,
    output: Format = Output.TABLE,
) -> None:
    """All traffic back to the previous version, also after completion. Never asks."""
    fields: dict[str, object] = {"to": to} if to else {}
    if instant:
        fields["instant"] = True
    order(link, change, output, route, "rollback", fields=fields)


def retry(
    link: AdminLink,
    change: OrderOptions,
    route: RouteName = "",
    *,
    force: Annotated[bool, Option("Even though it was tried too often or too soon.")] = False,
    output: Format = Output.TABLE,
) -> None:
    """Start again from the first step after an abort or a rollback."""
    fields = {"force": True} if force else None
    order(link, change, output, route, "retry", fields=fields, risky=True)


def set_weight(
    link: AdminLink,
    change: OrderOptions,
    route: Annotated[str, Argument("Route.")],
    weight: Annotated[str, Argument("Candidate's share, such as 25%.", metavar="[WEIGHT]")] = "",
    *,
    lasting: Annotated[
        str, Option("How long it lasts, such as 30m; then the step's returns.", "--for")
    ] = "",
    lift: Annotated[bool, Option("End the override in force.", "--lift")] = False,
    output: Format = Output.TABLE,
) -> None:
    """Override the step's weight for a time; gates go on and may roll back."""
    if lift == bool(weight):
        raise VerbFailed(Exit.USAGE, "give a weight and --for, or --lift")
    fields = {"weight": weight, "for": lasting} if lasting else {"weight": weight}
    wanted = {} if lift else fields
    order(link, change, output, route, "set-weight", fields=wanted, risky=not lift)


def freeze(
    link: AdminLink,
    route: Annotated[str, Argument("Route that stands still; absent: all.")] = "",
    *,
    off: Annotated[bool, Option("Let rollouts advance again.", "--off")] = False,
    lasting: Annotated[str, Option("How long, such as 12h; absent: until --off.", "--for")] = "",
    reason: Annotated[str, Option("Why; goes into the journal.")] = "",
    output: Format = Output.TABLE,
) -> None:
    """Stop every advance of rollouts until --off; rollbacks go on. Survives restarts."""
    body: dict[str, object] = {"frozen": not off, "reason": reason}
    if route:
        body["route"] = route
    if lasting:
        body["for"] = lasting
    answer = link.client().post(FrozenView, "/api/v1/freeze", body)
    if output is Output.JSON:
        emit(answer)
        return
    if not answer.frozen:
        echo(f"{route} may advance again" if route else "rollouts advance again")
        return
    until = f" for {lasting}" if lasting else ""
    echo(f"{route} stands still{until}" if route else f"all rollouts stand still{until}")
