"""The protocols that answer ``{"predictions": [...]}``.

V1 is the shape of TensorFlow Serving and many hand-written servers, which answers requests of
columns by ``outputs`` (https://www.tensorflow.org/tfx/serving/api_rest, "Predict API"); MLflow's
``/invocations`` answers ``predictions`` whatever the request looked like, as a list, a record of
columns or one value, and some models answer with what they are. None carries ids.
"""

from __future__ import annotations

from router.core.payloads.answer import Answer, Unreadable, answer_of, document, mapping, rows


class V1:
    """Answers of ``/v1/models/{model}:predict``: rows, or the columns of TensorFlow Serving."""

    def read(self, body: bytes) -> Answer:
        """Every value of every prediction, as ``predictions[i]...``."""
        top = mapping(document(body), "the top")
        if "predictions" not in top and isinstance(top.get("outputs"), list | dict):
            return answer_of(top["outputs"], "outputs")
        return answer_of(rows(top.get("predictions"), "predictions"), "predictions")


class Mlflow:
    """Answers of MLflow's ``/invocations``."""

    def read(self, body: bytes) -> Answer:
        """Every value of every prediction: labels, numbers, lists, records, columns, a scalar."""
        top = mapping(document(body), "the top")
        if top.get("predictions") is None:
            raise Unreadable("expected predictions at the top")
        return answer_of(top["predictions"], "predictions")
