"""Three saved models in this folder: a and b alike, c another one."""

import mlflow.sklearn
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

mlflow.set_tracking_uri("sqlite:///t.db")
rows, labels = load_iris(return_X_y=True)
for name, c in (("a", 1.0), ("b", 1.0), ("c", 0.001)):
    model = LogisticRegression(C=c, max_iter=500).fit(rows, labels)
    mlflow.sklearn.save_model(model, f"model-{name}", pip_requirements=["scikit-learn"])
