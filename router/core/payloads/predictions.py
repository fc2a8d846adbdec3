"""The two protocols that answer ``{"predictions": [...]}``.

V1 is the shape of TensorFlow Serving and many hand-written servers; MLflow's ``/invocations``
answers alike whatever the request looked like. Neither carries ids.
"""

from __future__ import annotations

from router.core.payloads.answer import Answer, answer_of, document, mapping, rows


class V1:
    """Answers of ``/v1/models/{model}:predict``."""

    def read(self, body: bytes) -> Answer:
        """Every value of every prediction, as ``predictions[i]...``."""
        return _predictions(body)


class Mlflow:
    """Answers of MLflow's ``/invocations``."""

    def read(self, body: bytes) -> Answer:
        """Every value of every prediction: labels, numbers, lists or records."""
        return _predictions(body)


def _predictions(body: bytes) -> Answer:
    predictions = mapping(document(body), "the top").get("predictions")
    return answer_of(rows(predictions, "predictions"), "predictions")
