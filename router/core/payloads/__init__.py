"""The inference protocols whose answers can be read. A new one is a file here and a line below.

A payload is chosen per route and never guessed per request. Reading happens beside the traffic, on
copies, and only where a policy asks for it; bodies that are forwarded stay opaque, but for the
answers that `rescue: {on: [schema]}` has read before they go out.
"""

from __future__ import annotations

from typing import Final

from router.core.payloads.answer import Answer, Beyond, Payload, Unreadable
from router.core.payloads.calls import OpenInferenceCalls, TensorflowCalls
from router.core.payloads.chat import OpenAI
from router.core.payloads.codings import unpacked
from router.core.payloads.documents import Csv, Json, Opaque
from router.core.payloads.open_inference import OpenInferenceV2
from router.core.payloads.predictions import V1, Mlflow

PAYLOADS: dict[str, Payload] = {
    "opaque": Opaque(),
    "v1": V1(),
    "tensorflow": V1(),
    "open_inference_v2": OpenInferenceV2(),
    "open_inference_grpc": OpenInferenceCalls(),
    "tensorflow_grpc": TensorflowCalls(),
    "mlflow": Mlflow(),
    "openai": OpenAI(),
    "json": Json(),
    "csv": Csv(),
}
"""Every payload, by the name it is written with in a route."""

CALLS: Final = frozenset(("open_inference_grpc", "tensorflow_grpc"))
"""Those of messages over gRPC."""

__all__ = ["CALLS", "PAYLOADS", "Answer", "Beyond", "Payload", "Unreadable", "unpacked"]
