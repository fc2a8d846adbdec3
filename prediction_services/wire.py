"""The two protocols as pure functions from bytes to flights and from scores to bytes.

V2 is the REST side of the Open Inference Protocol
(kserve/open-inference-protocol: specification/protocol/inference_rest.md); V1 is the older
`:predict` of TensorFlow Serving. Answers are shaped like those of real servers: data flat and
row-major, `predict` as [n, 1], `predict_proba` as [n, 2] with the column of "late" last.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from prediction_services import MODEL_NAME
from prediction_services.flights import (
    DELAY_FIELD,
    FLIGHT_FIELDS,
    BadFieldError,
    Flight,
    delayed,
    flight_from,
    parse_flight_id,
)

ROWS_MAX = 256
"""Flights in one request."""

LATE_SCORE = 0.5
"""A score at or above this is the label 1, late."""

PREDICT, PREDICT_PROBA = "predict", "predict_proba"
OUTPUTS = (PREDICT, PREDICT_PROBA)

_DATATYPES = {
    "flight_id": "BYTES", "carrier": "BYTES", "origin": "BYTES", DELAY_FIELD: "FP64",
}  # fmt: skip
"""All others are INT64."""


@dataclass(frozen=True, slots=True)
class InferRequest:
    """What a client asked for, whatever the protocol.

    Attributes:
        flights: one or more, at most `ROWS_MAX`.
        request_id: V2 `id`, to be echoed; None when not given and always in V1.
        outputs: V2 tensors wanted, all of `OUTPUTS` when not given.
    """

    flights: tuple[Flight, ...]
    request_id: str | None = None
    outputs: tuple[str, ...] = OUTPUTS


def decode_v2(body: bytes) -> InferRequest:
    """Read the body of `/infer`: tensor `flight_id`, or the six tensors of `FLIGHT_FIELDS`.

    Beside either, tensor `dep_delay`: the minutes that each left late, in place of those looked up.
    Data may be nested or flat. Request `parameters` are allowed and mean nothing here.

    Raises:
        BadFieldError: with the path of the field.
    """
    document = _object(body)
    request_id = document.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise BadFieldError("id", "expected a string")
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise BadFieldError("inputs", "expected a list of at least one tensor")
    columns: dict[str, list[Any]] = {}
    for place, tensor in enumerate(inputs):
        name, values = _tensor(tensor, f"inputs[{place}]")
        columns[name] = values
    return InferRequest(_from_columns(columns), request_id, _wanted_outputs(document))


def decode_v1(body: bytes) -> InferRequest:
    """Read the body of `:predict`: `instances` (flight ids or objects) or `inputs` (columns).

    Raises:
        BadFieldError: with the path of the field.
    """
    document = _object(body)
    if ("instances" in document) == ("inputs" in document):
        raise BadFieldError("instances", "expected exactly one of instances and inputs")
    if "inputs" in document:
        columns = document["inputs"]
        if not isinstance(columns, dict) or not all(isinstance(v, list) for v in columns.values()):
            raise BadFieldError("inputs", "expected an object of lists")
        return InferRequest(_from_columns(columns))
    instances = document["instances"]
    if not isinstance(instances, list):
        raise BadFieldError("instances", "expected a list")
    _check_rows(len(instances), "instances")
    return InferRequest(
        tuple(_instance(value, f"instances[{row}]") for row, value in enumerate(instances))
    )


def encode_v2(request: InferRequest, scores: Sequence[float | None], version: str) -> bytes:
    """The answer to `/infer`. A NaN score is written as the token `NaN`, as many servers do."""
    rows = len(scores)
    tensors = {
        PREDICT: {
            "name": PREDICT,
            "shape": [rows, 1],
            "datatype": "INT64",
            "data": [int(score is not None and score >= LATE_SCORE) for score in scores],
        },
        PREDICT_PROBA: {
            "name": PREDICT_PROBA,
            "shape": [rows, 2],
            "datatype": "FP64",
            "data": [share for score in scores for share in _both(score)],
        },
    }
    answer: dict[str, Any] = {"model_name": MODEL_NAME, "model_version": version}
    if request.request_id is not None:
        answer["id"] = request.request_id
    answer["outputs"] = [tensors[name] for name in request.outputs]
    return json.dumps(answer, separators=(",", ":")).encode()


def _both(score: float | None) -> tuple[float | None, float | None]:
    return (None, None) if score is None else (1 - score, score)


def with_label(body: bytes, label: int | None) -> bytes:
    """An answer of `encode_v2` whose every label is this one; None: each is the other one."""
    answer = json.loads(body)
    for tensor in answer.get("outputs", ()):
        if tensor["name"] == PREDICT:
            tensor["data"] = [1 - said if label is None else label for said in tensor["data"]]
    return json.dumps(answer, separators=(",", ":")).encode()


def with_usage(body: bytes, tokens: int) -> bytes:
    """An answer that says what it took: 100 tokens in, so many out."""
    usage = {"prompt_tokens": 100, "completion_tokens": tokens, "total_tokens": 100 + tokens}
    return json.dumps(json.loads(body) | {"usage": usage}, separators=(",", ":")).encode()


def encode_v1(_request: InferRequest, scores: Sequence[float | None], _version: str) -> bytes:
    """The answer to `:predict`: one probability of being late per instance."""
    return json.dumps({"predictions": list(scores)}, separators=(",", ":")).encode()


def model_metadata(version: str) -> dict[str, Any]:
    """The answer to `GET /v2/models/{m}`: the tensors in and out. -1 is any number of rows."""
    inputs = ("flight_id", *FLIGHT_FIELDS, DELAY_FIELD)
    return {
        "name": MODEL_NAME,
        "versions": [version],
        "platform": "rampway_prediction_services",
        "inputs": [
            {"name": name, "datatype": _DATATYPES.get(name, "INT64"), "shape": [-1]}
            for name in inputs
        ],
        "outputs": [
            {"name": PREDICT, "datatype": "INT64", "shape": [-1, 1]},
            {"name": PREDICT_PROBA, "datatype": "FP64", "shape": [-1, 2]},
        ],
    }


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadFieldError("body", f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadFieldError("body", "expected a JSON object")
    return document


def _tensor(tensor: Any, where: str) -> tuple[str, list[Any]]:
    """Name and flat values of one V2 input, its shape checked against its data."""
    if not isinstance(tensor, dict):
        raise BadFieldError(where, "expected an object")
    name, data = tensor.get("name"), tensor.get("data")
    shape: Any = tensor.get("shape")
    if not isinstance(name, str):
        raise BadFieldError(f"{where}.name", "expected a string")
    if not _is_column(shape):
        raise BadFieldError(f"{where}.shape", "expected [rows] or [rows, 1]")
    if not isinstance(data, list):
        raise BadFieldError(f"{where}.data", "expected a list")
    values = [item for row in data for item in (row if isinstance(row, list) else [row])]
    if len(values) != shape[0]:
        raise BadFieldError(f"{where}.data", f"shape says {shape[0]} values, found {len(values)}")
    return name, values


def _is_column(shape: Any) -> bool:
    whole = isinstance(shape, list) and all(type(size) is int for size in shape)
    return whole and (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1))


def _wanted_outputs(document: Mapping[str, Any]) -> tuple[str, ...]:
    wanted = document.get("outputs")
    if not wanted:
        return OUTPUTS
    if not isinstance(wanted, list):
        raise BadFieldError("outputs", "expected a list")
    names = []
    for place, output in enumerate(wanted):
        name = output.get("name") if isinstance(output, dict) else None
        if name not in OUTPUTS:
            raise BadFieldError(f"outputs[{place}].name", "expected one of " + ", ".join(OUTPUTS))
        names.append(name)
    return tuple(names)


def _from_columns(columns: Mapping[str, list[Any]]) -> tuple[Flight, ...]:
    if DELAY_FIELD in columns:
        return _with_delays(columns)
    unknown = set(columns) - {"flight_id", *FLIGHT_FIELDS}
    if unknown:
        raise BadFieldError(f"inputs.{min(unknown)}", "no such input; see the model's metadata")
    if "flight_id" in columns:
        ids = columns["flight_id"]
        _check_rows(len(ids), "inputs.flight_id")
        return tuple(
            parse_flight_id(text, f"inputs.flight_id[{row}]") for row, text in enumerate(ids)
        )
    for name in FLIGHT_FIELDS:
        if name not in columns:
            raise BadFieldError(
                f"inputs.{name}", "missing; send flight_id or all of " + ", ".join(FLIGHT_FIELDS)
            )
    rows = len(columns["carrier"])
    for name, values in columns.items():
        if len(values) != rows:
            raise BadFieldError(f"inputs.{name}", f"{len(values)} values where carrier has {rows}")
    _check_rows(rows, "inputs.carrier")
    return tuple(_column_row(columns, row) for row in range(rows))


def _with_delays(columns: Mapping[str, list[Any]]) -> tuple[Flight, ...]:
    flights = _from_columns({name: of for name, of in columns.items() if name != DELAY_FIELD})
    delays, where = columns[DELAY_FIELD], f"inputs.{DELAY_FIELD}"
    if len(delays) != len(flights):
        raise BadFieldError(where, f"{len(delays)} values where there are {len(flights)} flights")
    pairs = zip(flights, delays, strict=True)
    return tuple(delayed(one, at, f"{where}[{row}]") for row, (one, at) in enumerate(pairs))


def _column_row(columns: Mapping[str, list[Any]], row: int) -> Flight:
    fields = {name: values[row] for name, values in columns.items()}
    return flight_from(fields, lambda name: f"inputs.{name}[{row}]")


def _instance(value: Any, where: str) -> Flight:
    if isinstance(value, dict):
        if DELAY_FIELD in value:
            rest = {name: of for name, of in value.items() if name != DELAY_FIELD}
            return delayed(_instance(rest, where), value[DELAY_FIELD], f"{where}.{DELAY_FIELD}")
        if "flight_id" in value:
            return parse_flight_id(value["flight_id"], f"{where}.flight_id")
        return flight_from(value, lambda name: f"{where}.{name}")
    return parse_flight_id(value, where)


def _check_rows(rows: int, where: str) -> None:
    if not 1 <= rows <= ROWS_MAX:
        raise BadFieldError(where, f"expected 1 to {ROWS_MAX} flights, got {rows}")
