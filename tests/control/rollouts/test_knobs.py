"""A knob has the same name in the policy and in the workers' table, and none is lost on the way."""

from dataclasses import dataclass

import pytest

from router.control.rollouts import knobs
from router.control.rollouts.knobs import ByRule
from router.core.spec import Spec


class Knobs(Spec):
    wait: float | None = None
    """Seconds."""
    buffer: int = 7
    """Bytes."""
    share: int = 3
    """Basis points."""


@dataclass(frozen=True)
class Entry:
    wait_s: float = 2.5
    buffer_bytes: int = 1
    share_bp: int = 1
    made: str = ""


def test_it_is_copied_under_its_name_with_its_unit():
    copied = ByRule(Entry, Knobs, derived="made")
    assert copied(Knobs(wait=4.0), made="here") == Entry(4.0, 7, 3, "here")
    assert copied(Knobs()).wait_s == 2.5, "what is left out has the table's default"


def test_a_longer_name_is_its_own():
    class Two(Spec):
        queue: int = 1
        """Requests."""
        queue_bytes: int = 2
        """Bytes."""

    @dataclass
    class Queues:
        queue: int
        queue_bytes: int

    assert ByRule(Queues, Two)(Two()) == Queues(1, 2)


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({}, "made"),
        ({"derived": "made share_bp"}, "share"),
        ({"derived": "made", "unlike": "gone"}, "gone"),
        ({"derived": "made", "unlike": "share"}, "share"),
    ],
)
def test_a_field_that_goes_nowhere_fails_at_import(said, named):
    with pytest.raises(TypeError, match=named):
        ByRule(Entry, Knobs, **said)


def test_names_that_differ_are_few():
    rules = [one for one in vars(knobs).values() if isinstance(one, ByRule)]
    odd = {
        (field, key)
        for rule in rules
        for field, key in rule.pairs
        if field not in {key + unit for unit in knobs.UNITS}
    }
    assert len(rules) >= 10
    assert odd == {
        ("upload_bytes_per_s", "upload_rate"), ("bytes_max", "bytes"), ("cert_file", "certificate")
    }  # fmt: skip
