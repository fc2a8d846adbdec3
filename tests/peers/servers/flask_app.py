"""Flask, for gunicorn: the protocol V1."""

import math
import os

from flask import Flask, jsonify, request

app = Flask(__name__)
SLOPE = 1.3 if os.environ.get("VARIANT") == "c" else 1.0


@app.get("/ready")
def ready():
    return "ok"


@app.post("/v1/models/m:predict")
def predict():
    rows = request.get_json(force=True)["instances"]
    return jsonify(predictions=[1 / (1 + math.exp(-SLOPE * sum(row) + 2)) for row in rows])
