"""The fleet of one machine: worker processes that the control process starts itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from router.control.fleet.beginning import CommandLine, worker_command
from router.control.fleet.fleet import Hears
from router.control.fleet.workers import Workers
from router.core.policy import Policy, split_address
from router.link.spare import Spare


def local(
    *,
    replica: str = "",
    pids_file: Path | None = None,
    command: CommandLine = worker_command,
    neighbour: Callable[[], bool] = lambda: False,
    spare: Spare | None = None,
) -> Callable[[Policy, Hears], Workers]:
    """Makes it. ``replica``: what this machine is called; ``pids_file``: who outlives us.

    ``neighbour``: whether somebody may listen on our port in our name already. ``spare``: a process
    that becomes the first worker.
    """

    def make(policy: Policy, hears: Hears) -> Workers:
        count = policy.workers if policy.engine == "built-in" else 1  # one agent, whatever is there
        made = Workers(
            count, split_address(policy.listen), hears,
            replica=replica, pids_file=pids_file, command=command, spare=spare,
        )  # fmt: skip
        made.neighbour = neighbour
        return made

    return make
