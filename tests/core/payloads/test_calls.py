"""Answers over gRPC say what the same answers say as JSON: open_inference_grpc, tensorflow_grpc."""

import json
import struct

import pytest

from router.core.pairs.comparison import Likeness
from router.core.payloads import PAYLOADS, Beyond, Unreadable
from router.core.payloads.tables import ANSWERS, REQUESTS
from router.core.predictions.rows import Declared, answer_rows, leaf_name, request_rows
from tests.protobuf import field, framed, infer, packed, predict, predict_tensor, varint

infer_read = PAYLOADS["open_inference_grpc"].read
predict_read = PAYLOADS["tensorflow_grpc"].read

DECLARED = Declared(label="label", score="p", features=(("x", "numeric"),))

# Written by Google's own library: a ModelInferResponse with raw contents, one with typed ones, and
# a PredictResponse, each with fields that are not read.
RAW = bytes.fromhex(
    "0a016d1a01372a0d0a01701204465033321a0201032a110a056c6162656c120542595445531a0101320c000080"
    "3e0000003f0000803e3208040000006c617465"
)
TYPED = bytes.fromhex(
    "0a016d1a01372a190a056c6162656c120542595445531a01012a0642046c6174652a1d0a01701204465033321a"
    "0201032a0e320c0000803e0000003f0000803e"
)
PREDICTED = bytes.fromhex(
    "0a170a056c6162656c120e080712041202080142046c6174650a190a016e12140809120412020801520af9ffff"
    "ffffffffffff010a1f0a0170121a0801120812020801120208032a0c0000803e0000003f0000803e12030a016d"
)


def as_json(*outputs):
    listed = [{"name": n, "datatype": t, "shape": s, "data": d} for n, t, s, d in outputs]
    return PAYLOADS["open_inference_v2"].read(json.dumps({"outputs": listed}).encode())


def test_what_the_usual_library_writes():
    same = as_json(("p", "FP32", [1, 3], [0.25, 0.5, 0.25]), ("label", "BYTES", [1], ["late"]))
    assert infer_read(framed(RAW)) == infer_read(framed(TYPED)) == same
    said = predict_read(framed(PREDICTED))
    assert said.leaves == {"outputs.p[0][0]": 0.25, "outputs.p[0][1]": 0.5, "outputs.p[0][2]": 0.25,
                           "outputs.label[0]": "late", "outputs.n[0]": -7}  # fmt: skip
    assert said.vectors == {"outputs.p[0]": (0.25, 0.5, 0.25)}


@pytest.mark.parametrize(
    ("datatype", "values"),
    [("BOOL", [True, False]), ("INT32", [-1, 2**31 - 1]), ("INT64", [-(2**63), 5]),
     ("UINT8", [0, 255]), ("UINT64", [0, 2**64 - 1]), ("FP32", [0.25, -2.0]),
     ("FP64", [0.1, 1e-300]), ("BYTES", ["a", "spät"])],
)  # fmt: skip
def test_each_type_of_open_inference_reads_as_its_json(datatype, values):
    assert infer_read(infer(("y", datatype, [2, 1], values))) == as_json(
        ("y", datatype, [2, 1], values)
    )


def test_raw_contents_hold_also_the_halves_that_have_no_field():
    body = infer(("h", "FP16", [2]), ("b", "BF16", [1]), ("t", "BYTES", [1]),
                 raw=(struct.pack("<2e", 0.5, -2.0), b"\x80\x3f", b"\x02\0\0\0ok"))  # fmt: skip
    assert infer_read(body).leaves == {"h[0]": 0.5, "h[1]": -2.0, "b[0]": 1.0, "t[0]": "ok"}


def test_bytes_that_are_no_text_are_shown_as_such():
    assert infer_read(infer(("y", "BYTES", [2], [b"\xff\0", b"a"]))).leaves == {
        "y[0]": "0xff00", "y[1]": "a",
    }  # fmt: skip


def test_values_that_are_not_packed_and_a_message_in_two_pieces():
    one = (
        field(1, "y")
        + field(2, "INT64")
        + field(3, 2)
        + field(5, field(3, 1))
        + field(5, field(3, -4))
    )
    assert infer_read(framed(field(5, one))).leaves == {"y[0]": 1, "y[1]": -4}
    two = field(1, "f") + field(2, "FP32") + field(3, 1)
    alone = varint(6 << 3 | 5) + struct.pack("<f", 0.5)
    assert infer_read(framed(field(5, two + field(5, alone)))).leaves == {"f[0]": 0.5}


@pytest.mark.parametrize(
    ("tensor", "leaves"),
    [(("FP64", [2], [0.1, 0.2]), [0.1, 0.2]), (("INT32", [1], [-3]), [-3]),
     (("BOOL", [2], [1, 0]), [True, False]), (("BYTES", [1], [b"a"]), ["a"]),
     (("FP32", [2], struct.pack("<2f", 0.5, 1.5)), [0.5, 1.5]),
     (("INT64", [3], [7]), [7, 7, 7]), (("FP32", [2], []), [0.0, 0.0])],
)  # fmt: skip
def test_each_type_of_predict_also_as_content_and_with_the_last_value_repeated(tensor, leaves):
    assert list(predict_read(predict({"y": tensor})).leaves.values()) == leaves


def test_halves_of_predict_are_whole_numbers_of_sixteen_bits():
    def of(kind, bits):
        shape = field(2, field(2, field(1, 1)))
        tensor = field(1, kind) + packed(13, [bits]) + shape
        return framed(field(1, field(1, "y") + field(2, tensor)))

    assert predict_read(of(19, 0x3800)).leaves == {"outputs.y[0]": 0.5}
    assert predict_read(of(14, 0x3F80)).leaves == {"outputs.y[0]": 1.0}


def test_a_value_without_axes_is_an_output_by_its_name():
    assert predict_read(predict({"y": ("INT64", [], [4])})).leaves == {"outputs.y": 4}


WHOLE = infer(("y", "FP64", [2], [0.1, 0.2]))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\0\0\0\0", b"{}", WHOLE[:-1], WHOLE + b"\0", WHOLE + WHOLE, b"\2" + WHOLE[1:],
        framed(b"\x00"), framed(b"\x0b"), framed(varint(5 << 3 | 2) + b"\xff" * 11),
        framed(varint(5 << 3 | 2) + varint(2**63) + b"x"), framed(b"\xff" * 9 + b"\x02"),
        infer(("y", "FP64", [3], [0.1])), infer(("y", "FP64", [2**62, 4], [])),
        infer(("y", "FP64", [-1], [])), infer(("y", "FP64", [1] * 17, [0.1])),
        infer(("y", "TEXT", [0])), infer(("y", "FP32", [1]), raw=(b"\0" * 3,)),
        infer(("y", "FP32", [1]), raw=(b"\0" * 4, b"")), infer((b"\xff", "FP32", [1], [0.0])),
        infer(("y", "INT64", [20_001], [0] * 20_001)), framed(field(9, 0) * 25_001),
        framed(field(5, field(2, "FP32") + field(3, 1) + field(5, field(6, b"abc")))),
        b"\0" + (1_048_577).to_bytes(4, "big") + bytes(1_048_577),
    ],
)  # fmt: skip
def test_anything_else_is_unreadable(body):
    with pytest.raises(Unreadable):
        infer_read(body)


@pytest.mark.parametrize(
    "tensor",
    [("INT64", [1], [1, 2]), ("INT64", [2**40], [1]), ("INT64", [-1], [1]), ("BYTES", [1], b"abc")],
)
def test_a_tensor_of_predict_that_is_none_is_unreadable(tensor):
    with pytest.raises(Unreadable):
        predict_read(predict({"y": tensor}))


@pytest.mark.parametrize("number", [1, 2], ids=["answer", "request"])
def test_values_that_are_only_promised_are_counted_over_all_tensors(number):
    many = {f"t{n}": ("INT64", [10_000], [0]) for n in range(3)}
    read = ANSWERS if number == 1 else REQUESTS
    with pytest.raises(Unreadable, match="at most"):
        read["tensorflow_grpc"](predict(many, number), ())


def test_values_are_counted_over_all_tensors_of_open_inference():
    many = infer(*((f"t{n}", "UINT8", [10_000]) for n in range(3)), raw=(bytes(10_000),) * 3)
    with pytest.raises(Unreadable, match="at most"):
        ANSWERS["open_inference_grpc"](many, ())


def test_complex_numbers_are_unreadable():
    with pytest.raises(Unreadable, match="known type"):
        predict_read(framed(field(1, field(1, "y") + field(2, field(1, 8)))))


def test_a_compressed_message_is_nobodys_fault():
    with pytest.raises(Beyond, match="compressed"):
        infer_read(b"\1" + WHOLE[1:])


def test_answers_are_compared_by_name_whatever_their_order():
    p, label = ("p", "FP32", [1, 2], [0.25, 0.75]), ("label", "BYTES", [1], ["late"])
    other = ("label", "BYTES", [1], ["on_time"])

    def found(stable, candidate, **more):
        return Likeness(**more).compare("open_inference_grpc", stable, candidate)

    assert found(infer(p, label), infer(label, p)).agreed
    told = found(infer(p, label), infer(p, other))
    assert (told.agreed, told.differences[0].path) == (False, "label[0]")
    assert found(infer(p, label), infer(p, other), decide_on=("p",)).agreed
    assert found(infer(p, label), b"\0\0\0\0").candidate_unreadable
    assert found(infer(p, label), b"\1" + infer(p)[1:]).beyond


def test_rows_of_requests_and_answers():
    asked = infer(("x", "FP64", [2, 1], [0.5, 0.75]), raw_field=7)
    assert [row.features["x"] for row in request_rows("open_inference_grpc", asked, DECLARED)] == [
        0.5,
        0.75,
    ]
    said = infer(("label", "BYTES", [2], ["a", "b"]), ("p", "FP64", [2, 2], [0, 0.25, 1, 0.5]))
    rows = answer_rows("open_inference_grpc", said, DECLARED)
    assert [(row.label, row.score) for row in rows] == [("a", 0.25), ("b", 0.5)]


def test_rows_of_predict():
    asked = predict({"x": ("INT64", [2], [1, 2])}, number=2)
    assert [row.features["x"] for row in request_rows("tensorflow_grpc", asked, DECLARED)] == [1, 2]
    said = predict({"label": ("BYTES", [1], [b"a"]), "p": ("FP32", [1, 2], [0.0, 0.25])})
    (row,) = answer_rows("tensorflow_grpc", said, DECLARED)
    assert (row.label, row.score) == ("a", 0.25)
    assert leaf_name("tensorflow_grpc", "label") == "outputs.label"
    assert predict_tensor("INT64", [1], [1])  # the encoder's own shape
