"""KServe's own model server: V1, and V2 with binary tensors."""

import math
import os

import kserve

SLOPE = 1.3 if os.environ.get("VARIANT") == "c" else 1.0


def score(row):
    return 1 / (1 + math.exp(-SLOPE * sum(row) + 2))


class Flights(kserve.Model):
    def __init__(self):
        super().__init__("m")
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        if not isinstance(payload, kserve.InferRequest):
            return {"predictions": [score(row) for row in payload["instances"]]}
        rows = payload.inputs[0].as_numpy().reshape(-1, 3).tolist()
        scores = [score(row) for row in rows]
        labels = kserve.InferOutput("predict", [len(rows)], "INT64")
        labels.data = [int(p > 0.5) for p in scores]
        proba = kserve.InferOutput("proba", [len(rows)], "FP64")
        proba.data = scores
        return kserve.InferResponse(payload.id, "m", [labels, proba])


if __name__ == "__main__":
    port = int(os.environ["PORT"])
    kserve.ModelServer(http_port=port, grpc_port=port + 1, workers=1, enable_docs_url=False).start(
        [Flights()]
    )
