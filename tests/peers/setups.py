"""The server set-ups: how each is started, asked and read. What is not installed is skipped."""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent / "servers"
JSON = {"content-type": "application/json"}
KEYS = {"authorization": "Bearer sk-1234567890abcdef", "x-api-key": "k-1", "cookie": "session=1"}
"""What a client proves itself with; no copy carries it unless the policy says so."""


@dataclass(frozen=True)
class Ask:
    """One request. ``counted``: for the shadows and the canary too, not only for the plain pass."""

    method: str
    path: str
    headers: dict[str, str]
    body: str | None
    counted: bool = True


@dataclass(frozen=True)
class Setup:
    """One kind of server. ``{port}`` and ``{variant}`` are filled in; a and b are one model."""

    name: str
    venv: str
    needs: str
    """A module that its environment must have."""
    command: tuple[str, ...]
    ready: str
    payload: str
    asks: tuple[Ask, ...]
    compare: str = "{}"
    env: dict[str, str] = field(default_factory=dict)
    make: str = ""
    """A script that makes the models, run once in the set-up's folder."""
    folders: bool = False
    """Each server runs in the folder of its variant."""
    differs: int = 60
    """Of 60 pairs with the other model, at least so many disagree."""
    needs_key: bool = False
    """Copies without the client's key are refused."""


def v1(**headers):
    rows = [[[0.1 * i, 0.3 * i, 0.2] for i in range(k, k + 3)] for k in range(10)]
    path = "/v1/models/m:predict"
    return tuple(
        Ask("POST", path, JSON | KEYS | headers, json.dumps({"instances": row})) for row in rows
    )


def only_passed(*more):
    return tuple(Ask(method, path, JSON, body, counted=False) for method, path, body in more)


FREE = tuple(
    Ask("POST", "/predict", JSON | KEYS, json.dumps({"features": [0.1 * k, 0.3 * k, 0.2]}))
    for k in range(10)
)
LABELS = "{decide_on: [label], score: score}"
CROSSES = 6 * sum(1.0 * (0.4 * k + 0.2) < 2 <= 1.3 * (0.4 * k + 0.2) for k in range(10))
"""Of 60 requests those on which the two slopes give two labels, by hand."""


def _iris():
    rng = random.Random(1)
    spans = ((4.5, 7.5), (2.0, 4.0), (1.0, 6.5), (0.1, 2.4))
    asks = []
    for k in range(12):
        rows = [[round(rng.uniform(*span), 1) for span in spans] for _ in range(1 + k % 2)]
        data = [value for row in rows for value in row] if k % 3 == 0 else rows
        document = {
            "id": f"r-{k}",
            "inputs": [{"name": "x", "shape": [len(rows), 4], "datatype": "FP64", "data": data}],
            "outputs": [{"name": "predict"}, {"name": "predict_proba"}],
        }
        asks.append(Ask("POST", "/v2/models/iris/infer", JSON | KEYS, json.dumps(document)))
    wrong = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP64", "data": [[1, 2, 3]]}]}
    return (
        *asks,
        *only_passed(
            ("GET", "/v2", None), ("GET", "/v2/models/iris", None),
            ("GET", "/v2/models/iris/ready", None), ("POST", "/v2/repository/index", "{}"),
            ("POST", "/v2/models/iris/infer", json.dumps(wrong)),
            ("POST", "/v2/models/none/infer", "{}"),
        ),
    )  # fmt: skip


def _mlflow():
    asks = []
    for k in range(4):
        rows = [[5.1 + 0.1 * k, 3.5, 1.4 + 0.3 * k, 0.2 + 0.1 * k], [6.7, 3.1, 4.7, 1.5]]
        records = [dict(zip("abcd", row, strict=True)) for row in rows]
        table = {"columns": [*"abcd"], "data": rows}
        bodies = ({"inputs": rows}, {"instances": rows}, {"dataframe_split": table},
                  {"dataframe_records": records})  # fmt: skip
        asks += [Ask("POST", "/invocations", JSON | KEYS, json.dumps(body)) for body in bodies]
        text = "a,b,c,d\n" + "\n".join(",".join(map(str, row)) for row in rows)
        asks.append(Ask("POST", "/invocations", KEYS | {"content-type": "text/csv"}, text))
    rest = only_passed(("POST", "/invocations", "{}"), ("GET", "/ping", None),
                       ("GET", "/version", None))  # fmt: skip
    return (*asks, *rest)


def _kserve():
    asks = []
    for k in range(10):
        data = [0.1 * k, 0.3 * k, 0.2, 0.5, 0.6, 0.1 * k]
        document = {
            "id": f"r{k}",
            "inputs": [{"name": "x", "shape": [2, 3], "datatype": "FP64", "data": data}],
        }
        if k % 2:  # the outputs behind the document, in binary
            document["parameters"] = {"binary_data_output": True}
        asks.append(Ask("POST", "/v2/models/m/infer", JSON | KEYS, json.dumps(document)))
    rest = only_passed(("GET", "/v2/models/m/ready", None), ("GET", "/v2/health/live", None))
    return (*asks, *rest)


def chats():
    message = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    path = "/v1/chat/completions"
    return (
        Ask("POST", path, JSON | KEYS, json.dumps(message)),
        Ask("POST", path, JSON | KEYS, json.dumps(message | {"stream": True})),
        *only_passed(("POST", path, "{}"), ("GET", "/v1/models", None)),
    )


UVICORN = ("python", "-m", "uvicorn", "web:app", "--host", "127.0.0.1", "--port", "{port}",
           "--log-level", "warning")  # fmt: skip

SETUPS = (
    Setup("fastapi-uvicorn", "web", "fastapi", UVICORN, "/ready", "v1",
          v1() + only_passed(("POST", "/v1/models/m%3Apredict", '{"instances": [[1, 2]]}'),
                             ("POST", "/v1/models/m:predict", "{}"),
                             ("POST", "/v1/models/m:predict", "{bad"))),
    Setup("fastapi-free-json", "web", "fastapi", UVICORN, "/ready", "json", FREE,
          compare="{ignore: [request_id, took_ms, model.version], decide_on: [label], "
                  "score: score}",
          differs=CROSSES),
    Setup("fastapi-gzip", "web", "fastapi", UVICORN, "/ready", "v1",
          v1(**{"accept-encoding": "gzip"}), env={"GZIP": "1"}),
    Setup("openai-compatible", "web", "fastapi", UVICORN, "/ready", "openai", chats()),
    Setup("flask-gunicorn", "web", "flask",
          ("python", "-m", "gunicorn", "-w", "1", "--threads", "4", "-b", "127.0.0.1:{port}",
           "flask_app:app"), "/ready", "v1", v1()),
    Setup("fastapi-hypercorn", "web", "hypercorn",
          ("python", "-m", "hypercorn", "web:app", "-b", "127.0.0.1:{port}"), "/ready", "v1", v1()),
    Setup("litserve", "mlserver", "litserve", ("python", "lit_app.py"), "/health", "json", FREE,
          compare=LABELS, differs=CROSSES),
    Setup("bentoml", "web", "bentoml",
          ("python", "-m", "bentoml", "serve", "bento_app:Flights", "--port", "{port}", "--host",
           "127.0.0.1"), "/livez", "json",
          FREE + only_passed(("POST", "/predict", '{"wrong": 1}'), ("GET", "/livez", None)),
          compare=LABELS, differs=CROSSES,
          env={"BENTOML_HOME": "{folder}/home", "BENTOML_DO_NOT_TRACK": "True"}),
    Setup("mlserver", "mlserver", "mlserver", ("mlserver", "start", "."),
          "/v2/models/iris/ready", "open_inference_v2", _iris(),
          compare="{decide_on: [predict], score: predict_proba}", make="make_mlserver.py",
          folders=True, differs=5),
    Setup("mlflow", "mlflow", "mlflow",
          ("mlflow", "models", "serve", "-m", "model-{variant}", "--env-manager", "local", "-p",
           "{port}", "-h", "127.0.0.1", "-w", "1"), "/ping", "mlflow", _mlflow(),
          make="make_mlflow.py",
          env={"MLFLOW_TRACKING_URI": "sqlite:///t.db", "MLFLOW_DISABLE_TELEMETRY": "true"},
          differs=30),
    Setup("kserve-v1", "web", "kserve", ("python", "kserve_app.py"), "/v1/models/m", "v1",
          v1() + only_passed(("GET", "/v1/models/m", None),
                             ("POST", "/v1/models/m:predict", "{}"))),
    Setup("kserve-v2-binary", "web", "kserve", ("python", "kserve_app.py"), "/v2/health/ready",
          "open_inference_v2", _kserve(), compare="{decide_on: [predict], score: proba}",
          differs=6),
    Setup("ray-serve", "web", "ray", ("python", "ray_app.py"), "/-/healthz", "json",
          FREE + only_passed(("GET", "/-/routes", None)), compare=LABELS, differs=CROSSES,
          env={"RAY_USAGE_STATS_ENABLED": "0", "FOLDER": "{short}/{variant}"}),
    Setup("litellm", "web", "litellm",
          ("litellm", "--config", "{folder}/{model}.yaml", "--host", "127.0.0.1", "--port",
           "{port}", "--num_workers", "1", "--telemetry", "False"), "/health/liveliness",
          "openai", chats(), needs_key=True,
          env={"LITELLM_MODE": "PRODUCTION", "LITELLM_TELEMETRY": "False"}),
)  # fmt: skip

assert (
    6
    * sum(
        (1 / (1 + math.exp(-x + 2)) > 0.5) != (1 / (1 + math.exp(-1.3 * x + 2)) > 0.5)
        for x in (0.4 * k + 0.2 for k in range(10))
    )
    == CROSSES
)
