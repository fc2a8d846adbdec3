"""`demo --stay`: the router in front of two versions, and what to try with it."""

import sys
from pathlib import Path

from rich.console import Console

from prediction_services import MODEL_NAME
from prediction_services.demo.cast import V2, V3
from prediction_services.demo.policy import ROUTE, Rollout
from prediction_services.demo.process import RouterError
from prediction_services.demo.stage import Stage, StageOptions

CANARY_NAME = "canary.yaml"

FLIGHT = "UA1545.EWR.2013-01-01.0515"
"""A flight of the schedule, to ask about."""

_GUIDE = """
The router answers for {model}; v2 is stable, v3 is ready beside it. In another terminal, in this
folder:

  # ask for a prediction (the header X-Rampway-Version says who answered)
  curl -si {url}/v2/models/{model}/infer -d '{{"id": "1", "inputs": [{{"name": "flight_id",
    "shape": [1], "datatype": "BYTES", "data": ["{flight}"]}}]}}'

  # a minute of traffic; leave it running in a terminal of its own
  {python} -m prediction_services load --url {url} --rate 100 --seconds 60

  # begin a canary of v3: the policy file is watched, so saving it is all
  cp {canary} {policy}
  {rampway} status {route} --admin {admin}

  # make the candidate fail, see why the traffic went back, or take it back yourself
  curl -sX PUT {v3}/admin/faults -d '{{"error_rate": 1.0}}'
  {rampway} why {route} --admin {admin}
  {rampway} rollback {route} --admin {admin} --reason "trying it out" --yes

dashboard {admin}    metrics {admin}/metrics    Ctrl-C ends everything
"""


def _here(file: Path) -> str:
    """A file as one types it in this folder; nothing is taken from the shell's PATH."""
    return str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)


async def stay(options: StageOptions, console: Console) -> int:
    """Set the stage, print what to try, and stay until cancelled.

    Raises:
        RouterError: the router ended by itself.
    """
    async with Stage(options, lambda text: console.print(f"  {text}")) as stage:
        canary = stage.options.folder / CANARY_NAME
        canary.write_text(stage.policy.edited(V2.name, Rollout(V3.name)).text())
        guide = _GUIDE.format(
            model=MODEL_NAME,
            route=ROUTE,
            url=stage.url,
            admin=stage.admin.url,
            policy=stage.policy_path,
            canary=canary,
            v3=stage.services[V3.name].url,
            flight=FLIGHT,
            python=_here(Path(sys.executable)),
            rampway=_here(Path(sys.executable).with_name("rampway")),
        )
        console.print(guide, markup=False, soft_wrap=True)
        await stage.router.ended()
        raise RouterError(stage.router.trouble("stopped"))
