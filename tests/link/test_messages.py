"""Messages survive the wire whole, in pieces and glued together; anything else is refused."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.core.predictions.rows import Declared
from router.core.wire.endpoint import EndpointEntry
from router.core.wire.outcomes import ArmCounts, Batch, Cell, Pairs, UserCounts
from router.core.wire.protection import QuotaEntry
from router.core.wire.sampled import Facts, Sampled
from router.core.wire.sampled import PredictedRow as Row
from router.core.wire.table import (
    MatchEntry,
    MatchKind,
    Mirror,
    RescueEntry,
    RouteEntry,
    RoutingTable,
    StickyEntry,
    StickyKind,
    ValueEntry,
    VersionEntry,
)
from router.link import messages, reading
from router.link.frames import Frames, LinkError
from router.link.messages import (
    Amend,
    Applied,
    ClientCounts,
    Drain,
    EndpointState,
    Hello,
    MirrorCounts,
    PairReport,
    PairSample,
    Publish,
    Report,
    RouteCounts,
    SampleReport,
    VersionCounts,
)
from router.link.reading import Enter, Entered, Look, Looked, Reads

USERS = UserCounts((7,), (8,), (9,), ((7,),), 1, 1, (9,))

TABLE = RoutingTable(
    7,
    (
        RouteEntry(
            "flight-delay",
            MatchEntry(path="/v2/*", headers=(ValueEntry("x-country", MatchKind.EXACT, "de"),)),
            (VersionEntry("v1", (EndpointEntry("127.0.0.1", 9001),)), VersionEntry("v2", ())),
            stable=0,
            candidate=1,
            weights_bp=(9_500, 500),
            mirrors=(Mirror(1, 10_000),),
            sticky=StickyEntry(StickyKind.HEADER, "x-user-id"),
            rescue=RescueEntry(statuses=(5,)),
            thresholds_s=(0.1, 0.2),
            quota=QuotaEntry("x-key", 10**7, 10**15, 5),
        ),
    ),
)
MESSAGES = [
    Publish(TABLE),
    Amend(8, 7, TABLE.routes, term=2),
    Drain(3.0),
    Hello(8080),
    Applied(7, term=2),
    Report(
        (
            Batch(
                "r",
                3,
                (
                    Cell(
                        500,
                        ArmCounts(
                            1,
                            2,
                            (3,),
                            (4,),
                            5,
                            6,
                            UserCounts((7,), (8,), (9,), ((7,),), 1, 1, (9,)),
                        ),
                    ),
                ),
                Pairs(1),
            ),
        ),
        (VersionCounts("r", "v1", "stable", (1, 2), (0, 1), ((3, 4),)),),
        (MirrorCounts("r", "v2", 1, 0, {"queue": 3}),),
        (EndpointState("r", "v1", "http://h:1", True, False, 1, 2),),
        rejected={"framing": 2},
        routes=(RouteCounts("r", 3, 1),),
        clients=(ClientCounts("r", "10.0.0.1", 20_000, b"\x00\x07" * 512, 8, 1),),
    ),
    PairReport((PairSample("r", "v2", 3, "id", 200, 200, b"\x00\xff", b"{}"),)),
    SampleReport((Sampled("r", "v2", 3, "candidate", "c", answer=b"\x00\xff"),)),
]
READ = [
    Reads("r", "json", Declared(label="y", classes=("0", "1"), range=(0.0, 1.0)), ("carrier",)),
    Look(7, Sampled("r", "v2", 3, "candidate", "c", segments=("se",))),
    Enter(8, (Sampled("r", "v2", 3, "candidate", "c", read=False),) * 2),
    Entered(8),
    Looked(7, Facts((Row("1", 0.5, "", ("UA",)), Row(None, None, "null")))),
]


SPOKEN = {messages.KINDS: MESSAGES, reading.KINDS: READ}


@pytest.mark.parametrize(
    ("kinds", "message"),
    [(kinds, one) for kinds, said in SPOKEN.items() for one in said],
    ids=lambda it: type(it).__name__,
)
def test_round_trip(kinds, message):
    assert Frames(kinds).feed(kinds.encode(message)) == [message]


@given(st.lists(st.sampled_from(MESSAGES), max_size=6), st.integers(1, 40))
def test_any_cut_of_a_stream_gives_the_same_messages(sent, size):
    stream = b"".join(map(messages.encode, sent))
    frames = Frames(messages.KINDS)
    out = [m for i in range(0, len(stream), size) for m in frames.feed(stream[i : i + size])]
    assert out == sent


@pytest.mark.parametrize("kinds", SPOKEN)
def test_every_message_has_a_number(kinds):
    spoken = messages.Message if kinds is messages.KINDS else reading.ReaderMessage
    assert set(get_args(spoken)) == set(kinds.types.values())


def test_a_message_that_waits_for_another_replica_has_the_number_that_it_always_had():
    numbers = {one.__name__: number for number, one in messages.KINDS.types.items()}
    assert {name: numbers[name] for name in ("Report", "PairReport", "SampleReport")} == {
        "Report": 5, "PairReport": 6, "SampleReport": 12,
    }  # fmt: skip
    assert (numbers["Lowered"], numbers["LookAgain"], numbers["SpanReport"]) == (8, 25, 27)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00\x00\x00\x00",
        b"\xff\xff\xff\xff\x00",
        b"\x00\x00\x00\x01\x63",
        b"\x00\x00\x00\x02\x00\xc1",
    ],
    ids=["empty", "huge", "unknown kind", "not a table"],
)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(LinkError):
        Frames(messages.KINDS).feed(data)
