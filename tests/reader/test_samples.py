"""What a sample's answer is said to be, where tokens are counted as well."""

import pytest

from router.core.predictions.rows import Declared
from router.core.wire.sampled import Sampled
from router.link.reading import Reads
from router.reader.samples import looked, values

BROKEN = (
    b'{"error": {"message": "no model"}, "usage": {"prompt_tokens": 3, "completion_tokens": 0}}'
)


@pytest.mark.parametrize(("payload", "label"), [("", "(missing)"), ("v1", "1")])
def test_a_path_with_another_payload_is_read_by_that(payload, label):
    """Its features as well, for monitors."""
    said, asked = b'{"predictions": [{"y": 1}]}', b'{"instances": [{"age": 3}]}'
    sample = Sampled(
        "r", "v2", 1, "candidate", "c", status=200, answer=said, request=asked, payload=payload
    )
    declared = Declared(label="y", features=(("age", "numeric"),))
    reads = Reads("r", "json", declared, ("age",), monitored=True)
    (row,) = looked(sample, reads).rows
    assert row.label == label
    assert values(sample, reads).rows == (((3,),) if payload else ((None,),))
    assert row.features == (("3",) if payload else ("(missing)",))


@pytest.mark.parametrize(
    ("declared", "why"),
    [(Declared(label="choices[0].finish_reason"), "unreadable"), (Declared(), "")],
    ids=["predictions are read", "tokens alone"],
)
def test_an_error_inside_a_200_is_a_fault_whether_tokens_are_counted_or_not(declared, why):
    sample = Sampled("r", "v2", 1, "candidate", "c", status=200, answer=BROKEN)
    reads = Reads("r", "openai", declared, (), False, True)
    facts = looked(sample, reads)
    assert (facts.rows, facts.why, facts.tokens) == ((), why, (3, 0))
