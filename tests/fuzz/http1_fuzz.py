"""Fuzzes the wire format: `python -m tests.fuzz.http1_fuzz [--examples N] [--seed N]`.

With atheris installed the search is guided by coverage and goes on until stopped (its own options
follow `--`); without it hypothesis damages the corpus N times and shrinks what it finds. The
property is the same: raw bytes get one verdict however they are cut and whatever was read before,
and the only exception is FramingError.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.http1.damage import (
    RAW_ANSWERS,
    RAW_REQUESTS,
    damaged,
    pieces_of,
    read_answers,
    read_requests,
)

SIDES = ("request", "answer", "answer to HEAD")


def check(side: str, raw: bytes, marks: list[int]) -> None:
    """AssertionError when the cuts change the verdict; any other exception is a finding too."""
    pieces = pieces_of(raw, marks)
    if side == "request":
        whole = read_requests([raw], fresh=True)
        assert read_requests(pieces) == whole, (raw, marks)
    else:
        to_head = side == SIDES[2]
        whole = read_answers([raw], to_head=to_head, fresh=True)
        assert read_answers(pieces, to_head=to_head) == whole, (raw, marks)


def one_input(data: bytes) -> None:
    """The form atheris wants: a byte for the side, four for the cuts, the rest is the wire."""
    check(SIDES[data[0] % 3] if data else SIDES[0], data[5:], [m * 7 for m in data[1:5]])


def with_atheris(options: list[str]) -> None:
    import atheris

    atheris.instrument_all()
    atheris.Setup([sys.argv[0], *options], one_input)
    atheris.Fuzz()


def with_hypothesis(examples: int, number: int) -> None:
    cases = st.one_of(
        st.tuples(st.just(SIDES[0]), damaged(RAW_REQUESTS)),
        st.tuples(st.sampled_from(SIDES[1:]), damaged(RAW_ANSWERS)),
        st.tuples(st.sampled_from(SIDES), st.binary(max_size=400)),
    )

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases, st.lists(st.integers(0, 10_000), max_size=8))
    def search(case, marks):
        check(*case, marks)

    search()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-atheris", action="store_true")
    parser.add_argument("options", nargs="*", help="for atheris, after --")
    asked = parser.parse_args(arguments)
    if not asked.no_atheris and importlib.util.find_spec("atheris"):
        with_atheris(asked.options)
    else:
        print(f"hypothesis, {asked.examples} examples, seed {asked.seed}")
        with_hypothesis(asked.examples, asked.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
