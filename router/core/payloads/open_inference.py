"""Open Inference Protocol V2: named tensors, nested or flat, in any order.

https://github.com/kserve/open-inference-protocol: servers answer with flat row-major data to nested
requests and the other way round, order outputs as they like, and make up ids; so tensors are
matched by name and reshaped by ``shape``, and ``id``, ``model_name``, ``model_version`` and
``parameters`` are left out. Tensors may lie behind the document, in binary.
"""

from __future__ import annotations

from router.core.payloads.answer import Answer, Making, document, mapping, rows
from router.core.payloads.binary_tensors import Tail, split
from router.core.payloads.tensors import add_tensor, tensor


class OpenInferenceV2:
    """Answers of ``/v2/models/{model}/infer``."""

    def read(self, body: bytes) -> Answer:
        """Every element as ``name[i,j]``; last axes of three or more numbers as vectors."""
        text, behind = split(body)
        tail = Tail(behind)
        outputs = rows(mapping(document(text), "the top").get("outputs"), "outputs")
        making = Making()
        for place, output in enumerate(outputs):
            where = f"outputs[{place}]"
            add_tensor(making, tensor(mapping(output, where), tail, where))
        tail.end()
        return Answer(making.leaves, making.vectors)
