import pytest

from prediction_services.demo.governor import QUICK_MS, RATE_MIN_PER_S, SLOW_MS, Governor


class FakeLoad:
    rate_per_s = 200.0


class FakeRecorder:
    def __init__(self):
        self.marks = []

    def mark(self, kind, text):
        self.marks.append((kind, text))


@pytest.fixture
def load():
    return FakeLoad()


@pytest.fixture
def recorder():
    return FakeRecorder()


@pytest.fixture
def governor(load, recorder):
    return Governor(load, recorder)


def test_a_quick_machine_gets_what_was_asked_for(governor, load, recorder):
    for _ in range(20):
        governor.adjust(5.0)

    assert load.rate_per_s == 200.0
    assert recorder.marks == []


def test_a_slow_machine_gets_less_but_never_too_little(governor, load, recorder):
    governor.adjust(SLOW_MS + 50)
    assert load.rate_per_s == pytest.approx(120.0)

    for _ in range(20):
        governor.adjust(SLOW_MS + 50)

    assert load.rate_per_s == RATE_MIN_PER_S
    assert len(recorder.marks) == 1, "said once"
    assert "150 ms" in recorder.marks[0][1]


def test_the_rate_comes_back_slowly_and_not_beyond(governor, load):
    governor.adjust(SLOW_MS + 1)
    lowered = load.rate_per_s
    governor.adjust((SLOW_MS + QUICK_MS) / 2)
    assert load.rate_per_s == lowered, "neither slow nor quick"
    governor.adjust(QUICK_MS - 1)
    assert lowered < load.rate_per_s < 200.0

    for _ in range(50):
        governor.adjust(QUICK_MS - 1)

    assert load.rate_per_s == 200.0


def test_a_rate_below_the_least_is_left_alone(governor, load):
    load.rate_per_s = 20.0

    governor.adjust(SLOW_MS + 1)

    assert load.rate_per_s == 20.0
