"""`python -m prediction_services serve|train|load|judge|demo|forecast|story`."""

import argparse
import json
import sys
from pathlib import Path

from prediction_services import MODEL_NAME, judge
from prediction_services.cache import DEFAULT_CACHE
from prediction_services.pool import WAITING_MAX_DEFAULT, WORKERS_DEFAULT
from prediction_services.stories import TITLES
from prediction_services.versions import VERSIONS


def main(arguments: list[str] | None = None) -> int:
    """Run one command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    run: int = options.run(options)
    return run


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m prediction_services", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    cache = argparse.ArgumentParser(add_help=False)
    cache.add_argument(
        "--cache", type=Path, default=DEFAULT_CACHE, help="directory of data and models"
    )
    _add_serve(commands.add_parser("serve", parents=[cache], help="serve one version"))
    _add_train(commands.add_parser("train", parents=[cache], help="fill the cache and exit"))
    _add_load(commands.add_parser("load", parents=[cache], help="send traffic, print what came"))
    judge.add_arguments(commands.add_parser("judge", help="say which of two answers is better"))
    _add_demo(commands.add_parser("demo", parents=[cache], help="watch rollouts, get a report"))
    _add_forecast(commands.add_parser("forecast", parents=[cache], help="serve models in a row"))
    _add_story(commands.add_parser("story", parents=[cache], help="one capability in ten seconds"))
    return parser


def _add_forecast(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", choices=("squared", "again", "absolute", "late"),
        help="squared, again, absolute: departure delay; late: from that, a late arrival",
    )  # fmt: skip
    parser.add_argument("--port", type=int, default=0, help="0 lets the kernel choose")
    parser.set_defaults(run=_forecast)


def _add_serve(parser: argparse.ArgumentParser) -> None:
    known = "; ".join(f"{name}: {version.summary}" for name, version in VERSIONS.items())
    parser.add_argument("--version", required=True, choices=list(VERSIONS), help=known)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 lets the kernel choose")
    parser.add_argument("--port-file", type=Path, help="written with the port once bound")
    parser.add_argument("--name", help="model_version in the answers, default the version")
    parser.add_argument("--workers", type=int, default=WORKERS_DEFAULT, help="predicting threads")
    parser.add_argument(
        "--waiting",
        type=int,
        default=WAITING_MAX_DEFAULT,
        help="predictions that may wait for a thread before 429",
    )
    parser.add_argument("--faults", default="{}", help="JSON as for PUT /admin/faults")
    parser.add_argument(
        "--exit-with-parent", action="store_true", help="stop when standard input ends"
    )
    parser.set_defaults(run=_serve)


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("versions", nargs="*", default=list(VERSIONS), metavar="VERSION")
    parser.set_defaults(run=_train)


def _add_load(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", required=True, help=f"base URL; {MODEL_NAME} is asked below it")
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds a client waits")
    parser.add_argument("--month", type=int, default=3, help="month of 2013 to begin with")
    parser.add_argument(
        "--invented", action="store_true", help="invented flights: no data needed (version static)"
    )
    parser.set_defaults(run=_load)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stay", action="store_true", help="only start router and two services, and stay up"
    )
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--seed", type=int, default=1, help="of the load")
    parser.add_argument(
        "--folder", type=Path, default=Path("demo-run"), help="policy, state, logs, recording"
    )
    parser.add_argument("--report", type=Path, default=Path("demo-report.html"))
    parser.add_argument(
        "--engine", choices=("built-in", "envoy"), default="built-in", help="what carries traffic"
    )
    parser.set_defaults(run=_demo)


def _add_story(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", choices=TITLES, help="; ".join(f"{n}: {t}" for n, t in TITLES.items())
    )
    parser.set_defaults(run=_story)


# The other commands import their halves themselves: a load generator needs no server, and a
# parser that prints --help needs neither.


def _serve(options: argparse.Namespace) -> int:
    from prediction_services.faults import Faults  # noqa: PLC0415 - see above
    from prediction_services.server import ServeOptions, run  # noqa: PLC0415 - see above

    run(
        ServeOptions(
            version=options.version,
            host=options.host,
            port=options.port,
            cache=options.cache,
            port_file=options.port_file,
            workers=options.workers,
            waiting_max=options.waiting,
            name=options.name,
            faults=Faults.model_validate_json(options.faults),
            exit_with_parent=options.exit_with_parent,
        )
    )
    return 0


def _train(options: argparse.Namespace) -> int:
    from prediction_services.predictor import load_predictor  # noqa: PLC0415 - see above

    for version in options.versions:
        if version not in VERSIONS:
            print(f"no version {version}; known: {', '.join(VERSIONS)}", file=sys.stderr)
            return 2
        load_predictor(version, options.cache)
    return 0


def _load(options: argparse.Namespace) -> int:
    from prediction_services.load.command import run  # noqa: PLC0415 - see above

    report = run(options)
    print(json.dumps(report, indent=2))
    return 0


def _forecast(options: argparse.Namespace) -> int:
    from prediction_services.forecasting import run  # noqa: PLC0415 - see above

    return run(options.what, options.port, options.cache)


def _demo(options: argparse.Namespace) -> int:
    from prediction_services.demo.command import run  # noqa: PLC0415 - see above

    return run(options)


def _story(options: argparse.Namespace) -> int:
    from prediction_services.stories.command import run  # noqa: PLC0415 - see above

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
