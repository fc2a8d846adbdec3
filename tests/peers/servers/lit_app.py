"""LitServe."""

import math
import os

import litserve

SLOPE = 1.3 if os.environ.get("VARIANT") == "c" else 1.0


class Flights(litserve.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        return request["features"]

    def predict(self, x):
        return 1 / (1 + math.exp(-SLOPE * sum(x) + 2))

    def encode_response(self, output):
        return {"score": output, "label": int(output > 0.5)}


if __name__ == "__main__":
    server = litserve.LitServer(Flights(), accelerator="cpu", workers_per_device=1)
    server.run(port=int(os.environ["PORT"]), host="127.0.0.1", generate_client_file=False)
