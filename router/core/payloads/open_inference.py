"""Open Inference Protocol V2: named tensors, nested or flat, in any order.

https://github.com/kserve/open-inference-protocol: servers answer with flat row-major data to nested
requests and the other way round, order outputs as they like, and make up ids; so tensors are
matched by name and reshaped by ``shape``, and ``id``, ``model_name``, ``model_version`` and
``parameters`` are left out. Tensors may lie behind the document, in binary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from router.core.payloads.answer import (
    LEAVES_MAX,
    Answer,
    Leaf,
    Making,
    Unreadable,
    document,
    mapping,
    rows,
)
from router.core.payloads.binary_tensors import Tail, split
from router.core.payloads.tensors import tensor

_INDEX_CHARS = 2
"""Of each axis in a path, at least."""


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
            name, shape, data = tensor(mapping(output, where), tail, where)
            if len(making.leaves) + len(data) > LEAVES_MAX:
                raise Unreadable(f"expected at most {LEAVES_MAX} values")
            making.spend(len(data) * (len(name) + _INDEX_CHARS * len(shape)))
            if data:  # else an axis is 0, and the others are any numbers
                for index, value in zip(product(*map(range, shape)), data, strict=True):
                    making.leaves[f"{name}[{','.join(map(str, index))}]"] = value
                making.vectors.update(_rows(name, shape, data))
        tail.end()
        return Answer(making.leaves, making.vectors)


def _rows(
    name: str, shape: Sequence[int], data: list[Leaf]
) -> Iterator[tuple[str, tuple[float, ...]]]:
    width = shape[-1] if shape else 0
    if width < 3 or not all(type(value) in (int, float) for value in data):
        return
    numbers = [float(value) for value in data if isinstance(value, int | float)]
    for row, start in enumerate(range(0, len(numbers), width)):
        yield f"{name}[{row}]", tuple(numbers[start : start + width])
