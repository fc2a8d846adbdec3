"""`demo --stay`: the router in front of two versions, and what to try with it."""

from rich.console import Console

from prediction_services import MODEL_NAME
from prediction_services.demo.cast import V2, V3
from prediction_services.demo.policy import ROUTE, Rollout
from prediction_services.demo.process import RouterError
from prediction_services.demo.stage import Stage, StageOptions

CANARY_NAME = "canary.yaml"

_GUIDE = """
The router answers for {model}; v2 is stable, v3 is ready beside it. In another terminal:

  # ask for a prediction (the header X-Rampway-Version says who answered)
  curl -si {url}/v2/models/{model}/infer -d '{{"id": "1", "inputs": [{{"name": "flight_id",
    "shape": [1], "datatype": "BYTES", "data": ["UA1545.EWR.2013-03-01.0515"]}}]}}'

  # begin a canary of v3: the policy file is watched, so saving it is all
  cp {canary} {policy}
  rampway status {route} -w --admin {admin}

  # why is the traffic where it is; take it back
  rampway why {route} --admin {admin}
  rampway rollback {route} --admin {admin} --reason "trying it out" --yes

  # traffic, and a candidate that fails
  python -m prediction_services load --url {url} --rate 100 --seconds 60
  curl -sX PUT {v3}/admin/faults -d '{{"error_rate": 1.0}}'

dashboard {admin}    metrics {admin}/metrics    Ctrl-C ends everything
"""


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
        )
        console.print(guide, markup=False, soft_wrap=True)
        await stage.router.ended()
        raise RouterError(stage.router.trouble("stopped"))
