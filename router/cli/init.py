"""``rampway init``: a first policy for two versions of a service of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from router.cli.exits import Exit, VerbFailed
from router.cli.parse import Argument, Option
from router.cli.say import echo

POLICY = """\
# A canary of v2 beside v1, written by `rampway init`. Change what you like, then:
#   rampway check {file}     every problem at once, with line and hint
#   rampway plan {file}      what will happen, and when
#   rampway serve {file}     start
listen: 127.0.0.1:8080                 # your clients call this instead of v1
admin: {{listen: "127.0.0.1:8081"}}      # dashboard, metrics and commands; this machine only
store: sqlite:///rampway.db            # what was decided; a restart goes on from here

routes:
  - name: {route}
    match: {{path: {path}}}
    payload: json                      # answers are read, so that predictions can be compared
    versions:
      v1: {{endpoints: [{stable}]}}
      v2: {{endpoints: [{candidate}]}}
    stable: v1                         # answers everybody until v2 has proven itself
    rollout:
      candidate: v2
      strategy:
        canary:
          steps:
            - {{mirror: 100%, until: {{samples: 200}}}}  # v2 gets copies, nobody its answers
            - {{weight: 5%, hold: 10m}}                # then 5 % of the requests
            - {{weight: 25%, hold: 10m}}
            - {{weight: 50%, hold: 10m}}
          bake: 30m                    # everybody, with v1 still there to go back to
      gates:                           # each can take v2 back by itself
        - error_rate                   # does v2 fail more often than v1?
        - latency                      # is it slower?
        - guard: {{error_rate: 5%}}      # does it fail more than this, whatever v1 does?
        - agreement: {{at_least: 95%}}   # are its predictions those of v1?
      rescue: {{on: [5xx, timeout, connect]}}  # where v2 fails, v1 answers the client
"""


def run(
    stable: Annotated[str, Argument("URL of the version that serves today.", metavar="URL")],
    candidate: Annotated[str, Argument("URL of the new version.", metavar="URL")],
    path: Annotated[str, Option("Requests of the route: an exact path, or * at its end.")] = "/*",
    route: Annotated[str, Option("Name of the route.")] = "model",
    file: Annotated[Path, Option("Where to write it; - prints it.", "--file", "-f")] = Path(
        "rampway.yaml"
    ),
) -> None:
    """Write a commented policy that puts a new version out beside the one that serves."""
    from router.config import PolicyError, loads  # noqa: PLC0415 - help must start without it

    urls = {"stable": json.dumps(stable), "candidate": json.dumps(candidate)}
    text = POLICY.format(file=file, route=route, path=path, **urls)
    try:
        loads(text, str(file))
    except PolicyError as error:
        said = "\n".join(f"{problem.message}\n  {problem.hint}" for problem in error.problems)
        raise VerbFailed(Exit.USAGE, said.rstrip()) from None
    if str(file) == "-":
        echo(text, nl=False)
        return
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise VerbFailed(Exit.USAGE, f"{file} is there already; name another with --file") from None
    except OSError as error:
        raise VerbFailed(Exit.USAGE, f"{file}: {error.strerror or error}") from None
    echo(f"wrote {file}; next: rampway serve {file}")
