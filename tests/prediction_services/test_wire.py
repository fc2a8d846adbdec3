import json
import math
from dataclasses import replace

import pytest

from prediction_services import wire
from prediction_services.flights import BadFieldError, Flight

FLIGHT = Flight("UA", 1545, "EWR", 1, 1, 515)
ID = FLIGHT.flight_id


def tensor(name="flight_id", data=None, **changes):
    data = [ID] if data is None else data
    return {"name": name, "shape": [len(data)], "datatype": "BYTES", "data": data} | changes


def six(rows=1):
    values = {"carrier": "UA", "flight": 1545, "origin": "EWR"}
    values |= {"month": 1, "day": 1, "sched_dep_time": 515}
    return [tensor(name, [value] * rows) for name, value in values.items()]


def v2(*inputs, **fields):
    return json.dumps({"inputs": list(inputs), **fields}).encode()


@pytest.mark.parametrize(
    "inputs",
    [
        [tensor()],
        [tensor(shape=[1, 1])],
        [tensor(data=[[ID]], shape=[1, 1])],
        six(),
        six()[::-1],
    ],
)
def test_v2_names_one_flight_in_several_ways(inputs):
    assert wire.decode_v2(v2(*inputs)).flights == (FLIGHT,)


@pytest.mark.parametrize("minutes", [12.5, -3, 0.0, None])
def test_a_client_may_say_the_delay(minutes):
    wanted = (replace(FLIGHT, dep_delay=minutes),)
    told = tensor("dep_delay", [minutes], datatype="FP64")
    assert wire.decode_v2(v2(tensor(), told)).flights == wanted
    assert wire.decode_v2(v2(*six(), told)).flights == wanted
    for named in ({"flight_id": ID}, {name["name"]: name["data"][0] for name in six()}):
        body = json.dumps({"instances": [named | {"dep_delay": minutes}]}).encode()
        assert wire.decode_v1(body).flights == wanted


@pytest.mark.parametrize(
    ("minutes", "field"),
    [(["late"], "[0]"), ([True], "[0]"), ([20_000], "[0]"), ([1, 2], "")],
)
def test_a_delay_is_minutes(minutes, field):
    with pytest.raises(BadFieldError) as caught:
        wire.decode_v2(v2(tensor(), tensor("dep_delay", minutes, datatype="FP64")))
    assert caught.value.field == f"inputs.dep_delay{field}"


def test_v2_reads_id_and_wanted_outputs():
    asked = wire.decode_v2(v2(tensor(), id="r-1", outputs=[{"name": "predict_proba"}]))

    assert asked.request_id == "r-1"
    assert json.loads(wire.encode_v2(asked, [0.75], "v2")) == {
        "model_name": "flight-delay",
        "model_version": "v2",
        "id": "r-1",
        "outputs": [
            {"name": "predict_proba", "shape": [1, 2], "datatype": "FP64", "data": [0.25, 0.75]}
        ],
    }


def test_v2_answers_flat_and_row_major():
    asked = wire.decode_v2(v2(*six(rows=2)))
    answer = json.loads(wire.encode_v2(asked, [0.25, 0.5], "v2"))

    assert "id" not in answer
    predict, probabilities = answer["outputs"]
    assert (predict["shape"], predict["data"]) == ([2, 1], [0, 1])
    assert (probabilities["shape"], probabilities["data"]) == ([2, 2], [0.75, 0.25, 0.5, 0.5])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"[]", "body"),
        (b"{}", "inputs"),
        (v2(), "inputs"),
        (v2(7), "inputs[0]"),
        (v2(tensor(name=None)), "inputs[0].name"),
        (v2(tensor(shape=None)), "inputs[0].shape"),
        (v2(tensor(shape=[1, 2])), "inputs[0].shape"),
        (v2(tensor(shape=[True])), "inputs[0].shape"),
        (v2(tensor(shape=[2])), "inputs[0].data"),
        (v2(tensor(data=[ID], shape=[1]) | {"data": ID}), "inputs[0].data"),
        (v2(tensor(data=["x"])), "inputs.flight_id[0]"),
        (v2(tensor(data=[])), "inputs.flight_id"),
        (v2(tensor(data=[ID] * 257)), "inputs.flight_id"),
        (v2(tensor("altitude", [1])), "inputs.altitude"),
        (v2(*six()[:-1]), "inputs.sched_dep_time"),
        (v2(*six()[:-1], tensor("sched_dep_time", [515, 515])), "inputs.sched_dep_time"),
        (v2(*six()[:-1], tensor("sched_dep_time", [9999])), "inputs.sched_dep_time[0]"),
        (v2(tensor(), id=7), "id"),
        (v2(tensor(), outputs={"name": "predict"}), "outputs"),
        (v2(tensor(), outputs=[{"name": "logits"}]), "outputs[0].name"),
    ],
)
def test_v2_mistakes_are_named(body, field):
    with pytest.raises(BadFieldError) as refused:
        wire.decode_v2(body)

    assert refused.value.field == field


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [ID]},
        {"instances": [{"flight_id": ID}]},
        {"instances": [{n: getattr(FLIGHT, n) for n in FLIGHT.__slots__}]},
        {"inputs": {"flight_id": [ID]}},
        {"inputs": {n: [getattr(FLIGHT, n)] for n in FLIGHT.__slots__}},
    ],
)
def test_v1_names_one_flight_in_several_ways(document):
    asked = wire.decode_v1(json.dumps(document).encode())

    assert asked.flights == (FLIGHT,)
    assert json.loads(wire.encode_v1(asked, [0.5], "v1")) == {"predictions": [0.5]}


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "instances"),
        ({"instances": [], "inputs": {}}, "instances"),
        ({"instances": []}, "instances"),
        ({"instances": {}}, "instances"),
        ({"instances": [ID, 7]}, "instances[1]"),
        ({"instances": [{"carrier": "UA"}]}, "instances[0].flight"),
        ({"inputs": []}, "inputs"),
        ({"inputs": {"flight_id": ID}}, "inputs"),
    ],
)
def test_v1_mistakes_are_named(document, field):
    with pytest.raises(BadFieldError) as refused:
        wire.decode_v1(json.dumps(document).encode())

    assert refused.value.field == field


def test_nan_is_written_as_the_token_nan():
    body = wire.encode_v2(wire.decode_v2(v2(tensor())), [math.nan], "v2")

    assert b"NaN" in body
