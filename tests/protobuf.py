"""Messages of gRPC inference as a server writes them, for tests."""

import struct

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5


def varint(number):
    number %= 2**64
    made = b""
    while number > 0x7F:
        made += bytes([number & 0x7F | 0x80])
        number >>= 7
    return made + bytes([number])


def field(number, value):
    """One field: whole numbers as varints, everything else with its length."""
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value)
    value = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return varint(number << 3 | LENGTH) + varint(len(value)) + value


def packed(number, values, code=""):
    data = struct.pack(f"<{len(values)}{code}", *values) if code else b"".join(map(varint, values))
    return field(number, data)


def framed(message, flag=0):
    return struct.pack(">BI", flag, len(message)) + message


def unframed(body):
    return body[5:]


CONTENTS = {"BOOL": (1, ""), "INT32": (2, ""), "INT64": (3, ""), "UINT8": (4, ""),
            "UINT64": (5, ""), "FP32": (6, "f"), "FP64": (7, "d"), "BYTES": (8, None)}  # fmt: skip


def infer_tensor(name, datatype, shape, values=None):
    """A tensor of ``ModelInfer``; without values they are raw."""
    made = field(1, name) + field(2, datatype) + packed(3, shape)
    if values is None:
        return made
    number, code = CONTENTS[datatype]
    inside = (
        b"".join(field(number, one) for one in values)
        if code is None
        else packed(number, values, code)
    )
    return made + field(5, inside)


def infer(*tensors, raw=(), raw_field=6, version="1"):
    """A ``ModelInferResponse``, or with raw_field 7 a request; tensors as :func:`infer_tensor`."""
    made = field(1, "model") + field(2, version) + field(3, "an-id")
    made += b"".join(field(5, infer_tensor(*one)) for one in tensors)
    return framed(made + b"".join(field(raw_field, one) for one in raw))


TYPES = {"FP32": (1, 5, "f"), "FP64": (2, 6, "d"), "INT32": (3, 7, ""), "BYTES": (7, 8, None),
         "INT64": (9, 10, ""), "BOOL": (10, 11, "")}  # fmt: skip


def predict_tensor(datatype, shape, values):
    """TensorFlow's ``TensorProto``; values as bytes are its content."""
    kind, number, code = TYPES[datatype]
    made = field(1, kind) + field(2, b"".join(field(2, field(1, size)) for size in shape))
    if isinstance(values, bytes):
        return made + field(4, values)
    if code is None:
        return made + b"".join(field(number, one) for one in values)
    return made + packed(number, values, code)


def predict(tensors, number=1, version="1"):
    """A ``PredictResponse``, or with number 2 a request: name -> datatype, shape, values."""
    made = b"".join(
        field(number, field(1, name) + field(2, predict_tensor(*one)))
        for name, one in tensors.items()
    )
    return framed(made + field(3 - number, field(1, "model") + field(4, version)))
