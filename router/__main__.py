"""``rampway`` and ``python -m router``: the command line with the verbs that need the server.

The client verbs live one floor below the server and never import it; ``serve`` stands above both.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from router.cli import app
from router.cli.parse import Argument


def serve(policy: Annotated[Path, Argument("Policy file.")]) -> None:
    """Run the router: proxy, control plane and admin interface, until SIGTERM."""
    from router.main import run  # noqa: PLC0415 - other verbs must start without the server

    sys.exit(run(policy))


app.add("serve", "Router", serve)


def main() -> None:
    """The console script."""
    app(prog_name="rampway")


if __name__ == "__main__":
    main()
