"""Clients that copy a model: what control says of the workers' counts."""

from __future__ import annotations

import random

from router.control.outside.extraction import CLIENTS_MAX, Extractions
from router.core.cardinality import REGISTERS, add
from router.core.policy.quota import Extraction
from router.core.wire.counts import ClientCounts

POLICY = Extraction.model_validate({
    "by": "address", "window": "1d", "distinct": 1_000,
    "near": {"score": "p", "threshold": 0.5, "within": 0.05, "share": "50%", "answers": 100},
})  # fmt: skip


def told(client, first, last, window=20_000, **fields):
    registers = bytearray(REGISTERS)
    for number in range(first, last):
        add(registers, random.Random(number).getrandbits(64))
    return ClientCounts("r", client, window, bytes(registers), **fields)


def found(extractions, worker, *counts, policy=POLICY):
    return list(extractions.found(worker, counts, lambda _route: policy))


def test_inputs_are_added_up_over_workers_and_told_once_a_window():
    extractions = Extractions()
    assert found(extractions, 0, told("a", 0, 700)) == []
    assert found(extractions, 1, told("a", 0, 700)) == [], "the same inputs"
    ((route, text),) = found(extractions, 1, told("a", 400, 1_400))
    assert route == "r"
    assert "a: about 1," in text
    assert "different inputs, limit 1,000" in text
    assert "since 2024-10-04 00:00 UTC, window 1d" in text
    assert found(extractions, 0, told("a", 0, 2_000)) == [], "told"
    assert found(extractions, 0, told("b", 0, 700)) == [], "another client"
    assert found(extractions, 0, told("a", 0, 700, window=20_001)) == [], "another day"
    assert len(found(extractions, 0, told("a", 0, 1_400, window=20_001))) == 1


def test_answers_near_the_threshold_are_a_share_of_enough_of_them():
    extractions = Extractions()
    assert found(extractions, 0, told("a", 0, 9, answers=99, near=99)) == []
    assert found(extractions, 0, told("a", 0, 9, answers=120, near=59)) == []
    ((_, text),) = found(extractions, 1, told("a", 0, 9, answers=80, near=70))
    assert "64.5 % of 200 answers that were read lay within 0.05 of 0.5, limit 50 %" in text


def test_memory_is_bounded_and_a_route_without_it_is_forgotten():
    extractions = Extractions()
    for number in range(CLIENTS_MAX + 50):
        found(extractions, 0, ClientCounts("r", f"c{number}", 1, bytes(REGISTERS)))
    assert len(extractions._seen["r"]) == CLIENTS_MAX
    found(extractions, 0, told("a", 0, 9), policy=None)
    assert not extractions._seen
