"""Three MLServer folders in this one: a and b serve one model, c another. PORTS: theirs."""

import json
import os
from pathlib import Path

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

rows, labels = load_iris(return_X_y=True)
same = LogisticRegression(max_iter=500).fit(rows, labels)
models = {"a": same, "b": same, "c": DecisionTreeClassifier(max_depth=1).fit(rows, labels)}
for port, (name, model) in zip(json.loads(os.environ["PORTS"]), models.items(), strict=True):
    folder = Path(name, "models", "iris")
    folder.mkdir(parents=True)
    joblib.dump(model, folder / "model.joblib")
    (folder / "model-settings.json").write_text(json.dumps({
        "name": "iris", "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./model.joblib", "version": "v1"},
    }))  # fmt: skip
    Path(name, "settings.json").write_text(json.dumps({
        "host": "127.0.0.1", "http_port": port, "grpc_port": port + 1, "metrics_port": port + 2,
        "parallel_workers": 0, "debug": False,
    }))  # fmt: skip
