"""``rampway whois``: the version a user gets."""

from __future__ import annotations

from typing import Annotated

from router.cli.options import AdminLink
from router.cli.output import Format, Output
from router.cli.parse import Argument, Option
from router.cli.say import echo
from router.cli.show import chosen, emit
from router.control.told.answers import WhoisView
from router.core.words import percent


def run(
    link: AdminLink,
    key: Annotated[str, Argument("Sticky key, such as a user's id.")],
    route: Annotated[str, Option("Route; may be left out if there is just one.")] = "",
    output: Format = Output.TABLE,
) -> None:
    """The version that a sticky key (a user) gets now, and the place that decides it."""
    client = link.client()
    name = chosen(client, route)
    told = client.get(WhoisView, "/api/v1/whois", route=name, key=key)
    if output is Output.JSON:
        emit(told)
    elif not told.sticky:
        share = percent(told.weight_bp)
        echo(f"{name} is not sticky: a coin is thrown for each request, {share} candidate")
    else:
        echo(
            f"{key} gets {told.version} on {name}: place {told.bucket} of 10,000, the "
            f"candidate's interval begins at {told.offset} with {percent(told.weight_bp)}"
        )
