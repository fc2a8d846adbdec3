"""Options that many verbs share. A verb that takes ``link: Connection`` has all of its options."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from router.cli.exits import Exit, VerbFailed
from router.cli.parse import Argument, Option

if TYPE_CHECKING:
    from router.cli.client import Client

DEFAULT_ADMIN = "http://127.0.0.1:8081"


RouteName = Annotated[str, Argument("Route; may be left out if there is just one.")]


@dataclass(frozen=True, slots=True)
class AdminLink:
    """Where the router is and who asks."""

    admin: Annotated[
        str, Option("URL of the router's admin interface.", envvar="RAMPWAY_ADMIN")
    ] = DEFAULT_ADMIN
    token_file: Annotated[
        str, Option("File with the token; or set RAMPWAY_TOKEN.", envvar="RAMPWAY_TOKEN_FILE")
    ] = ""
    ca: Annotated[
        str, Option("PEM file that an https admin is checked with.", envvar="RAMPWAY_CA")
    ] = ""

    def client(self) -> Client:
        """A client for these options. There is no --token: other users can read arguments."""
        from router.cli.client import Client  # noqa: PLC0415 - verbs that ask no router do without

        return Client(self.admin, self._token(), self.ca, _user())

    def _token(self) -> str:
        if not self.token_file:
            return os.environ.get("RAMPWAY_TOKEN", "")
        try:
            return Path(self.token_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise VerbFailed(Exit.USAGE, f"--token-file: {error}") from None


@dataclass(frozen=True, slots=True)
class OrderOptions:
    """How an order is given."""

    reason: Annotated[str, Option("Why; goes into the journal.")] = ""
    dry_run: Annotated[bool, Option("Say what would happen and change nothing.")] = False
    yes: Annotated[bool, Option("Do not ask.", "--yes", "-y")] = False
    if_revision: Annotated[
        int | None, Option("Only if the rollout is still at this revision (else exit 5).", least=0)
    ] = None


def _user() -> str:
    """The name of the person, for a router without tokens; unverified and marked as such there."""
    import getpass  # noqa: PLC0415 - only for those who ask a router

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def interactive() -> bool:
    """Whether a person sits there who can be asked and shown a moving picture."""
    return sys.stdin.isatty() and sys.stdout.isatty()
