"""BentoML."""

import math
import os

import bentoml

SLOPE = 1.3 if os.environ.get("VARIANT") == "c" else 1.0


@bentoml.service(workers=1)
class Flights:
    @bentoml.api(route="/predict")
    def predict(self, features: list[float]) -> dict:
        p = 1 / (1 + math.exp(-SLOPE * sum(features) + 2))
        return {"score": p, "label": int(p > 0.5)}
