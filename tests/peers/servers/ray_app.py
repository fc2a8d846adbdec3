"""Ray Serve."""

import math
import os
import threading

import ray
from ray import serve
from starlette.requests import Request

SLOPE = 1.3 if os.environ.get("VARIANT") == "c" else 1.0


@serve.deployment(ray_actor_options={"num_cpus": 0.1})
class Flights:
    async def __call__(self, request: Request):
        x = (await request.json())["features"]
        p = 1 / (1 + math.exp(-SLOPE * sum(x) + 2))
        return {"score": p, "label": int(p > 0.5)}


ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, _temp_dir=os.environ["FOLDER"])
serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
serve.run(Flights.bind(), route_prefix="/predict")
threading.Event().wait()
