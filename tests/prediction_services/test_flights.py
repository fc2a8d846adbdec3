import pytest
from hypothesis import given
from hypothesis import strategies as st

from prediction_services.flights import BadFieldError, Flight, flight_from, parse_flight_id

GOOD = {
    "carrier": "UA",
    "flight": 1545,
    "origin": "EWR",
    "month": 1,
    "day": 1,
    "sched_dep_time": 515,
}


@given(
    st.builds(
        Flight,
        carrier=st.from_regex(r"\A[A-Z0-9]{2}\Z"),
        flight=st.integers(1, 9_999),
        origin=st.from_regex(r"\A[A-Z]{3}\Z"),
        month=st.integers(1, 12),
        day=st.integers(1, 31),
        sched_dep_time=st.builds(lambda h, m: h * 100 + m, st.integers(0, 23), st.integers(0, 59)),
    )
)
def test_a_flight_survives_its_own_id(flight):
    assert parse_flight_id(flight.flight_id, "flight_id") == flight


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        "UA1545",
        "UA1545.EWR.2013-01-01",
        "ua1545.EWR.2013-01-01.0515",
        "UA1545.EWR.2014-01-01.0515",
        "UA1545.EWR.2013-13-01.0515",
        "UA0.EWR.2013-01-01.0515",
        "UA1545.EWR.2013-01-01.0560",
        "UA1545.EWR.2013-01-01.0515\n",
        "é" * 1000,
    ],
)
def test_other_ids_are_refused_with_their_place(text):
    with pytest.raises(BadFieldError) as refused:
        parse_flight_id(text, "inputs.flight_id[3]")

    assert refused.value.field == "inputs.flight_id[3]"
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("carrier", "UAL"),
        ("carrier", 1),
        ("flight", 0),
        ("flight", True),
        ("flight", 1.5),
        ("origin", "ewr"),
        ("month", 13),
        ("month", None),
        ("day", "1"),
        ("sched_dep_time", 1060),
        ("sched_dep_time", 2400),
    ],
)
def test_every_field_is_checked_and_named(field, value):
    with pytest.raises(BadFieldError) as refused:
        flight_from(GOOD | {field: value}, lambda name: f"here.{name}")

    assert refused.value.field == f"here.{field}"


@pytest.mark.parametrize("field", GOOD)
def test_a_missing_field_is_named(field):
    fields = {name: value for name, value in GOOD.items() if name != field}

    with pytest.raises(BadFieldError, match=f"{field}: missing"):
        flight_from(fields, str)


def test_whole_numbers_may_arrive_as_floats():
    assert flight_from(GOOD | {"flight": 1545.0}, str).flight == 1545
