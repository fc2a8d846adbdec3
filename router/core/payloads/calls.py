"""Inference over gRPC: the tensors of one unary call, its request or its answer.

The messages are the Open Inference Protocol's ``ModelInfer`` (grpc_predict_v2.proto of
https://github.com/kserve/open-inference-protocol) and TensorFlow Serving's ``Predict``
(predict.proto, tensor.proto). Their answers say what the same answers say as JSON: names, shapes,
values; the model's name, its version, ids and parameters are left out.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from math import prod
from typing import Final

from router.core.payloads.answer import LEAVES_MAX, Answer, Leaf, Making, Unreadable
from router.core.payloads.binary_tensors import values_in
from router.core.payloads.protobuf import (
    FieldReader,
    Fields,
    floats,
    integer,
    integers,
    message_of,
    parts,
    signed,
    text,
)
from router.core.payloads.tensors import AXES_MAX, Tensor, add_tensor

SIZE_MAX: Final = 2**63
"""An axis that is longer is negative: its length is not known, which no answer may say."""


class OpenInferenceCalls:
    """Answers of gRPC's `ModelInfer` (Open Inference Protocol), also with raw contents."""

    def read(self, body: bytes) -> Answer:
        """As the payload open_inference_v2: every element as ``name[i,j]``."""
        making = Making()
        for one in infer_tensors(body, _RAW_OUTPUTS):
            add_tensor(making, one)
        return Answer(making.leaves, making.vectors)


class TensorflowCalls:
    """Answers of gRPC's `Predict` (TensorFlow Serving)."""

    def read(self, body: bytes) -> Answer:
        """As columns of the payload tensorflow: every element as ``outputs.name[i][j]``."""
        making = Making()
        for one in predict_tensors(body, _OUTPUTS):
            add_tensor(making, one._replace(name=f"outputs.{one.name}"), nested=True)
        return Answer(making.leaves, making.vectors)


def _shape(sizes: list[int], where: str) -> list[int]:
    if len(sizes) > AXES_MAX:
        raise Unreadable(f"expected at most {AXES_MAX} axes at {where}, got {len(sizes)}")
    if any(size >= SIZE_MAX for size in sizes):
        raise Unreadable(f"expected a shape at {where}")
    return sizes


def _count(shape: list[int], reading: FieldReader) -> int:
    if (count := prod(shape)) > LEAVES_MAX:
        raise Unreadable(f"expected at most {LEAVES_MAX} values")
    reading.promised(count)
    return count


def _texts(pieces: list[bytes]) -> list[Leaf]:
    return [_text(piece) for piece in pieces]


def _text(piece: bytes) -> str:
    """What is no UTF-8 is shown by its bytes, as quickly as it is read."""
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return f"0x{piece.hex()}"


# --- Open Inference Protocol ----------------------------------------------------------------------

_RAW_INPUTS, _RAW_OUTPUTS = 7, 6
_TENSORS, _CONTENTS = 5, 5
"""Of requests and answers alike: their tensors, and a tensor's contents."""

_SIGNED: Final = {"INT8": 2, "INT16": 2, "INT32": 2, "INT64": 3}
_UNSIGNED: Final = {"UINT8": 4, "UINT16": 4, "UINT32": 4, "UINT64": 5}
_FLOATS: Final = {"FP32": (6, "f"), "FP64": (7, "d")}


def infer_tensors(body: bytes, raw_field: int) -> Iterator[Tensor]:
    """The tensors of a ``ModelInferRequest`` or a ``ModelInferResponse``. Raises Unreadable."""
    reading = FieldReader()
    top = reading.fields(message_of(body))
    tensors, raw = parts(top, _TENSORS), parts(top, raw_field)
    if raw and len(raw) != len(tensors):
        raise Unreadable(f"expected raw contents of {len(tensors)} tensors, got {len(raw)}")
    for place, one in enumerate(tensors):
        where = f"tensor {place}"
        fields = reading.fields(one)
        name, datatype = text(fields, 1), text(fields, 2)
        shape = _shape(integers(fields, 3), where)
        count = _count(shape, reading)
        data: list[Leaf]
        if raw:
            data = values_in(datatype, raw[place], count, where)
        else:
            data = _contents(reading.fields(b"".join(parts(fields, _CONTENTS))), datatype)
        if len(data) != count:
            raise Unreadable(f"expected {count} values at {where}, got {len(data)}")
        yield Tensor(name, shape, data)


def _contents(fields: Fields, datatype: str) -> list[Leaf]:
    if datatype == "BOOL":
        return [value != 0 for value in integers(fields, 1)]
    if datatype in _SIGNED:
        return list(signed(integers(fields, _SIGNED[datatype])))
    if datatype in _UNSIGNED:
        return list(integers(fields, _UNSIGNED[datatype]))
    if datatype in _FLOATS:
        return list(floats(fields, *_FLOATS[datatype]))
    if datatype == "BYTES":
        return _texts(parts(fields, 8))
    raise Unreadable("expected a known datatype")


def infer_request(body: bytes) -> Iterator[Tensor]:
    """Inputs of a ``ModelInferRequest``. Raises Unreadable."""
    return infer_tensors(body, _RAW_INPUTS)


def infer_answer(body: bytes) -> Iterator[Tensor]:
    """Outputs of a ``ModelInferResponse``. Raises Unreadable."""
    return infer_tensors(body, _RAW_OUTPUTS)


# --- TensorFlow Serving ---------------------------------------------------------------------------

_INPUTS, _OUTPUTS = 2, 1
_TENSOR_CONTENT, _STRINGS = 4, 8
STRING: Final = 7

_RAW_TYPES: Final = {
    1: "FP32", 2: "FP64", 3: "INT32", 4: "UINT8", 5: "INT16", 6: "INT8", 9: "INT64", 10: "BOOL",
    14: "BF16", 17: "UINT16", 19: "FP16", 22: "UINT32", 23: "UINT64",
}  # fmt: skip
"""TensorFlow's types of numbers, in the words of the Open Inference Protocol."""
_SIGNED_FIELDS: Final = {3: 7, 4: 7, 5: 7, 6: 7, 17: 7, 9: 10}
_UNSIGNED_FIELDS: Final = {10: 11, 14: 13, 19: 13, 22: 16, 23: 17}


def predict_tensors(body: bytes, field: int) -> Iterator[Tensor]:
    """The tensors of a ``PredictRequest`` or a ``PredictResponse``. Raises Unreadable."""
    reading = FieldReader()
    named: dict[str, bytes] = {}
    for entry in parts(reading.fields(message_of(body)), field):
        pair = reading.fields(entry)
        named[text(pair, 1)] = b"".join(parts(pair, 2))
    for name, one in named.items():
        fields = reading.fields(one)
        dims = parts(reading.fields(b"".join(parts(fields, 2))), 2)
        shape = _shape([integer(reading.fields(dim), 1) for dim in dims], "a tensor")
        yield Tensor(name, shape, _filled(fields, integer(fields, 1), _count(shape, reading)))


def _filled(fields: Fields, kind: int, count: int) -> list[Leaf]:
    """The values; a tensor whose last values are alike is written with the first of those alone."""
    content = parts(fields, _TENSOR_CONTENT)
    if content and content[-1]:
        return values_in(_RAW_TYPES.get(kind), content[-1], count, "a tensor")
    data = _values(fields, kind)
    if len(data) > count:
        raise Unreadable(f"expected {count} values in a tensor, got {len(data)}")
    last: Leaf = data[-1] if data else _NOTHING.get(kind, 0)
    return data + [last] * (count - len(data))


_NOTHING: Final[dict[int, Leaf]] = {1: 0.0, 2: 0.0, 14: 0.0, 19: 0.0, STRING: "", 10: False}


def _values(fields: Fields, kind: int) -> list[Leaf]:
    if kind in (1, 2):
        return list(floats(fields, 5, "f") if kind == 1 else floats(fields, 6, "d"))
    if kind == STRING:
        return _texts(parts(fields, _STRINGS))
    if kind in _SIGNED_FIELDS:
        return list(signed(integers(fields, _SIGNED_FIELDS[kind])))
    if kind in _UNSIGNED_FIELDS:
        return _UNSIGNED_AS.get(kind, list)(integers(fields, _UNSIGNED_FIELDS[kind]))
    raise Unreadable("expected a known type of tensor")


def _halves(numbers: list[int]) -> list[Leaf]:
    data = struct.pack(f"<{len(numbers)}H", *(number & 0xFFFF for number in numbers))
    return list(struct.unpack(f"<{len(numbers)}e", data))


def _brains(numbers: list[int]) -> list[Leaf]:
    data = struct.pack(f"<{len(numbers)}I", *((number & 0xFFFF) << 16 for number in numbers))
    return list(struct.unpack(f"<{len(numbers)}f", data))


def _truths(numbers: list[int]) -> list[Leaf]:
    return [number != 0 for number in numbers]


_UNSIGNED_AS: Final[dict[int, Callable[[list[int]], list[Leaf]]]] = {
    10: _truths, 14: _brains, 19: _halves,
}  # fmt: skip


def predict_request(body: bytes) -> Iterator[Tensor]:
    """Inputs of a ``PredictRequest``. Raises Unreadable."""
    return predict_tensors(body, _INPUTS)


def predict_answer(body: bytes) -> Iterator[Tensor]:
    """Outputs of a ``PredictResponse``. Raises Unreadable."""
    return predict_tensors(body, _OUTPUTS)
