"""Tensors behind the JSON of an Open Inference answer, as Triton's and KServe's clients ask for.

The binary tensor data extension: an output without ``data`` has ``binary_data_size`` among its
parameters, and its values lie behind the document, in the order of the outputs, little endian. The
header field that says where the document ends is not needed: JSON says so itself.
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from router.core.payloads.answer import LEAVES_MAX, Leaf, Unreadable

HEAD_BYTES_MAX: Final = 65_536
"""Of the document in front of binary tensors: it holds names and shapes."""

SIZE: Final = b'"binary_data_size"'
_BRACES: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}]', re.DOTALL)
_FORMATS: Final = {
    "BOOL": "?", "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q",
    "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "FP16": "e", "FP32": "f", "FP64": "d",
}  # fmt: skip


def split(body: bytes) -> tuple[bytes, bytes]:
    """The document and what lies behind it; all of it where no document with tensors ends."""
    if SIZE not in body[:HEAD_BYTES_MAX]:
        return body, b""
    depth = 0
    for found in _BRACES.finditer(body, 0, HEAD_BYTES_MAX):
        what = found.group()
        if what == b"{":
            depth += 1
        elif what == b"}":
            depth -= 1
            if depth <= 0:
                return body[: found.end()], body[found.end() :]
    return body, b""


class Tail:
    """What lies behind the document, taken from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, tensor: dict[str, Any], count: int, where: str) -> list[Leaf] | None:
        """Values of a tensor of ``count`` elements; None where it is not of this kind."""
        parameters = tensor.get("parameters")
        size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
        if size is None or "data" in tensor:
            return None
        if type(size) is not int or not 0 <= size <= len(self._data) - self._at:
            raise Unreadable(f"expected as many bytes as {where} says, got fewer")
        data = self._data[self._at : self._at + size]
        self._at += size
        return values_in(tensor.get("datatype"), data, count, where)

    def end(self) -> None:
        """Raises Unreadable where something is left."""
        if self._at != len(self._data):
            raise Unreadable("expected nothing behind the tensors")


def values_in(datatype: object, data: bytes, count: int, where: str) -> list[Leaf]:
    """``count`` values of a type as they lie in memory, little endian. Raises Unreadable."""
    if count > LEAVES_MAX:
        raise Unreadable(f"expected at most {LEAVES_MAX} values")
    if datatype == "BYTES":
        return _texts(data, count, where)
    if datatype == "BF16" and len(data) == 2 * count:  # the upper half of an FP32
        datatype, data = "FP32", b"".join(b"\0\0" + data[i : i + 2] for i in range(0, len(data), 2))
    code = _FORMATS.get(datatype) if isinstance(datatype, str) else None
    if code is None:
        raise Unreadable(f"expected a known datatype at {where}")
    form = struct.Struct(f"<{count}{code}")
    if form.size != len(data):
        raise Unreadable(f"expected {form.size} bytes at {where}, got {len(data)}")
    return list(form.unpack(data))


def _texts(data: bytes, count: int, where: str) -> list[Leaf]:
    """Each element with its length before it, four bytes."""
    texts: list[Leaf] = list(islice(_pieces(data, where), count + 1))
    if len(texts) != count:
        raise Unreadable(f"expected {count} elements at {where}")
    return texts


def _pieces(data: bytes, where: str) -> Iterator[str]:
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        piece = data[at + 4 : at + 4 + size]
        if len(piece) != size or at + 4 > len(data):
            raise Unreadable(f"expected whole elements at {where}")
        yield piece.decode("utf-8", "backslashreplace")
        at += 4 + size
