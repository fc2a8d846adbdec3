"""``rampway`` and ``python -m router``: the command line with the verbs that need the server.

The client verbs live one floor below the server and never import it; ``serve`` stands above both.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from router.cli.app import VERBS, attempt
from router.cli.exits import Exit, VerbFailed
from router.cli.parse import Argument, Option, VerbFunction

if TYPE_CHECKING:
    import socket

SHARED: Final = (
    "router.config.certificate", "router.config.payloads", "router.core.cardinality",
    "router.core.expressions", "router.core.payloads.inputs", "router.core.predictions.rows",
    "router.core.reviews.confidence", "router.core.rollout.traffic", "router.core.usage.orca",
    "router.core.usage.signals", "router.core.wire.baseline", "router.core.wire.histogram",
    "router.core.wire.receipt", "router.core.wire.succession", "router.link.quotas",
    "router.link.socket", "router.telemetry", "router.upstream.pools",
)  # fmt: skip
"""With what they import: what control and a worker both have, so that nothing is imported twice."""
AUTHORITIES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Where OpenSSL looks for whom the system believes."""


class Engine(StrEnum):
    """What carries the traffic."""

    BUILT_IN = "built-in"
    ENVOY = "envoy"


class LogFormat(StrEnum):
    """How the log is written."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


def serve(
    policy: Annotated[Path, Argument("Policy file.")],
    force: Annotated[bool, Option("Start although policy and stored state conflict.")] = False,
    replica: Annotated[
        str | None, Option("Its name, where several routers serve from one PostgreSQL store.")
    ] = None,
    log: Annotated[LogFormat, Option("auto: console at a terminal, else json.")] = LogFormat.AUTO,
) -> None:
    """Run the router: proxy, control plane and admin interface, until SIGTERM."""
    gc.disable()  # what a start makes stays; router.garbage takes over when clients are served
    for name in SHARED:
        import_module(name)
    from router.link.spare import fork  # noqa: PLC0415 - other verbs must start without the server

    spare = fork(_stand_by)
    # Until router.main listens: nobody is served yet.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(Exit.OK))
    with _without_authorities():
        from router import main as server  # noqa: PLC0415 - the worker has no use for it

    sys.exit(server.serve(policy, force=force, member=replica, told=log, spare=spare))


def _stand_by(link: socket.socket) -> None:
    """The first worker, in its own process: control keeps none of the code that forwards."""
    from router.proxy.worker import stand_by  # noqa: PLC0415 - control has no use for it

    stand_by(link)


@contextmanager
def _without_authorities() -> Iterator[None]:
    """Nobody is believed over TLS by what is made in here.

    aiohttp reads all authorities of the system twice as it is imported, for contexts that are not
    used here (control/outside has its own, and reads them when it calls somebody): 2 MB, 50 ms.
    """
    said = {name: os.environ.get(name) for name in AUTHORITIES}
    os.environ.update(dict.fromkeys(AUTHORITIES, os.devnull))
    try:
        yield
    finally:
        for name, value in said.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


def demo(
    stay: Annotated[bool, Option("Only start router and two services, and stay up.")] = False,
    rate: Annotated[int, Option("Requests a second.", least=1, most=5_000)] = 200,
    seed: Annotated[int, Option("Of the load.")] = 1,
    engine: Annotated[Engine, Option("What carries the traffic.")] = Engine.BUILT_IN,
) -> None:
    """Watch rollouts of real models with a live picture, and get a report page."""
    try:
        from prediction_services.__main__ import main as services  # noqa: PLC0415 - see serve
    except ModuleNotFoundError as missing:
        raise VerbFailed(
            Exit.USAGE,
            f"demo needs the demonstration services ({missing.name} is not installed), which do "
            "not come with the router; in a checkout of it: pip install . ./deploy/services",
        ) from None

    said = ["--rate", str(rate), "--seed", str(seed), "--engine", engine]
    said += ["--stay"] if stay else []
    sys.exit(services(["demo", *said]))


HIGHER: dict[str, VerbFunction] = {"serve": serve, "demo": demo}
"""Verbs that stand above the command line."""


def __getattr__(name: str) -> Any:
    """``app``: the command in full, made when it is wanted (see :mod:`router.cli.app`)."""
    if name != "app":
        raise AttributeError(name)
    from router.cli.group import Rampway  # noqa: PLC0415 - plain command lines do without

    made = Rampway(VERBS)
    for verb, run in HIGHER.items():
        made.add(verb, "Router", run)
    globals()["app"] = made
    return made


def main() -> None:
    """The console script."""
    gc.disable()  # while modules are imported; see `attempt`
    code = attempt(sys.argv[1:], HIGHER)
    if code is None:
        __getattr__("app")(prog_name="rampway")
    sys.exit(code)


if __name__ == "__main__":
    main()
