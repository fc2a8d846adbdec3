"""The shared area of quotas: exact over processes, bounded in memory, honest when it is full."""

from __future__ import annotations

import multiprocessing
import os
import time

import pytest

from router.link import quotas
from router.link.quotas import (
    AHEAD_MAX,
    AHEAD_PART,
    GROUPS,
    HEAD,
    WAYS,
    QuotaArea,
    ahead_of,
    area_bytes,
    made,
)

MS = 1_000_000
S = 1_000 * MS


@pytest.fixture
def fd():
    new = made(4)
    yield new
    os.close(new)


@pytest.fixture
def area(fd):
    return QuotaArea(fd)


@pytest.fixture
def clock(monkeypatch):
    """Nanoseconds of the monotonic clock and seconds of the wall, as the test says."""

    class Clock:
        ns = 10**15
        wall = 20_000 * 86_400 + 100.0

        def forward(self, seconds):
            self.ns += round(seconds * S)
            self.wall += seconds

    now = Clock()
    monkeypatch.setattr(quotas.time, "monotonic_ns", lambda: now.ns)
    monkeypatch.setattr(quotas.time, "time", lambda: now.wall)
    return now


def asked(area, times, client=b"c", *, rate_ns=100 * MS, burst=5, per_day=0):
    return [area.wait_s(client, rate_ns, rate_ns * (burst - 1), per_day) for _ in range(times)]


def test_a_burst_then_the_rate(area, clock):
    assert asked(area, 8) == [0] * 5 + [1] * 3
    clock.forward(0.1)
    assert asked(area, 2) == [0, 1], "one more is due after each interval"
    clock.forward(3600)
    assert asked(area, 6) == [0] * 5 + [1], "who waits gets the burst again, never more"


def test_how_long_to_wait_is_told_in_whole_seconds(area, clock):
    assert asked(area, 4, rate_ns=10 * S, burst=2) == [0, 0, 10, 10]
    clock.forward(7.5)
    assert asked(area, 1, rate_ns=10 * S, burst=2) == [3]


def test_a_day_ends_at_midnight(area, clock):
    assert asked(area, 4, rate_ns=0, per_day=3) == [0, 0, 0, 86_300]
    clock.forward(86_300)
    assert asked(area, 4, rate_ns=0, per_day=3) == [0, 0, 0, 86_400]


def test_what_the_rate_refuses_is_not_counted_for_the_day(area, clock):
    assert asked(area, 9, burst=2, per_day=4) == [0, 0] + [1] * 7
    clock.forward(10)
    assert asked(area, 3, burst=4, per_day=4)[:2] == [0, 0]
    assert asked(area, 1, burst=9, per_day=4)[0] > 1_000, "the day's"


def test_clients_do_not_share(area, clock):
    for number in range(50):
        assert asked(area, 6, b"client-%d" % number) == [0] * 5 + [1]


def test_an_edit_of_the_policy_frees_who_waits_for_an_hour(area, clock):
    assert asked(area, 2, rate_ns=3_600 * S, burst=1) == [0, 3_600]
    assert asked(area, 6, rate_ns=100 * MS, burst=5) == [0] * 4 + [1, 1], "not an hour"
    asked(area, 300, rate_ns=1, burst=1_000)
    assert asked(area, 2, rate_ns=3_600 * S, burst=1) == [0, 3_600], "it begins anew"


def test_counts_that_come_round_and_times_beyond_64_bits_block_nobody(area, clock):
    assert asked(area, 1, rate_ns=0, per_day=10) == [0]
    (counter,) = [at for at in range(HEAD // 4, len(area._counts)) if area._counts[at] == 1]
    area._counts[counter] = (1 << 32) - 2
    assert asked(area, 1, rate_ns=0, per_day=1 << 33) == [0]
    said = asked(area, 8, rate_ns=3_600 * S, burst=3)
    assert said[-1] == 3_600
    assert said.count(0) <= 6, "two bursts: its count has come round"
    assert asked(area, 11, rate_ns=0, per_day=10)[-1] == 86_300


@pytest.mark.parametrize(
    ("interval_ns", "burst", "per_day", "workers", "ahead"),
    [
        (1, 5, 0, 1, 1), (1, 79, 0, 1, 1), (1, 80, 0, 1, 2), (1, 80, 0, 2, 1),
        (1, 10**6, 0, 2, AHEAD_MAX), (1, 10**6, 40, 2, 1), (0, 1, 40, 1, 1), (0, 1, 8_000, 4, 50),
        (0, 1, 0, 1, 1),
    ],
)  # fmt: skip
def test_only_a_large_quota_is_counted_ahead(interval_ns, burst, per_day, workers, ahead):
    slack_ns = interval_ns * (burst - 1)
    assert ahead_of(interval_ns, slack_ns, per_day, workers) == ahead
    bound = min([b for b in (burst if interval_ns else 0, per_day) if b], default=0)
    if ahead > 1:
        assert ahead * workers * AHEAD_PART <= bound, "all workers together: a fortieth"


def test_several_at_once_are_one_request_of_that_size(area, clock):
    terms = 100 * MS, 900 * MS, 25
    assert area.wait_s(b"c", *terms, 8) == 0
    assert area.wait_s(b"c", *terms, 8) == 1, "not all of it has room"
    assert area.wait_s(b"c", *terms, 2) == 0
    assert area.wait_s(b"c", *terms) == 1
    clock.forward(3600)
    assert area.wait_s(b"c", *terms, 10) == 0
    clock.forward(3600)
    assert area.wait_s(b"c", *terms, 6) > 60, "the day has 5 left"
    assert [area.wait_s(b"c", *terms) for _ in range(6)][:5] == [0] * 5
    assert area.wait_s(b"c", *terms) > 60


def test_what_is_counted_ahead_is_bounded(area, monkeypatch):
    monkeypatch.setattr(quotas, "PAID_MAX", 3)
    for number in range(10):
        area.pay(b"c%d" % number, 7)
        assert len(area.paid) <= 3
    assert area.paid[b"c9"] == 7


def test_two_workers_see_one_bucket(fd, clock):
    one, other = QuotaArea(fd, 0), QuotaArea(fd, 3)
    assert asked(one, 3) + asked(other, 3) + asked(one, 1) == [0] * 5 + [1] * 2


# --- full -----------------------------------------------------------------------------------------


def crowd(area, number, prefix=b"x"):
    """Clients that all fall into one group."""
    import xxhash

    seed, found, n = area.secret, [], 0
    while len(found) < number:
        name = b"%b%d" % (prefix, n)
        n += 1
        if xxhash.xxh64_intdigest(name, seed) % GROUPS == 7:
            found.append(name)
    return found


def test_who_would_lose_nothing_gives_way_first(area, clock, monkeypatch):
    monkeypatch.setattr(quotas, "GROUPS", 8)
    monkeypatch.setitem(globals(), "GROUPS", 8)
    names = crowd(area, WAYS + 1)
    for name in names[:WAYS]:
        asked(area, 5, name)
    clock.forward(86_400)
    for name in names[1:WAYS]:
        asked(area, 1, name, per_day=100)
    assert asked(area, 1, names[WAYS]) == [0]
    assert area.forgotten == 0, "of yesterday nothing is kept"
    for name in names[1:WAYS]:
        assert asked(area, 99, name, rate_ns=0, per_day=99).count(0) == 98


def test_a_full_group_forgets_the_one_that_used_least_and_says_so(area, clock, monkeypatch):
    monkeypatch.setattr(quotas, "GROUPS", 8)
    monkeypatch.setitem(globals(), "GROUPS", 8)
    names = crowd(area, WAYS + 1)
    for place, name in enumerate(names[:WAYS]):
        assert asked(area, 50 + place, name, rate_ns=0, per_day=1_000) == [0] * (50 + place)
    assert asked(area, 1, names[WAYS], rate_ns=0, per_day=1_000) == [0]
    assert area.forgotten == 1
    assert asked(area, 1_000, names[1], rate_ns=0, per_day=1_000).count(0) == 1_000 - 51
    assert asked(area, 1_000, names[0], rate_ns=0, per_day=1_000).count(0) == 1_000, "began anew"


def test_a_million_clients_fit(area):
    """300,000 here, a million in `python -m tests.bench --parts protection`."""
    assert [area_bytes(workers) >> 20 for workers in (1, 2, 4, 16)] == [56, 64, 80, 176]
    for number in range(300_000):
        assert not area.wait_s(b"client-%d" % number, 3_600 * S, 0, 10)
    assert area.forgotten == 0
    assert all(
        area.wait_s(b"client-%d" % number, 3_600 * S, 0, 10) for number in range(0, 300_000, 1_000)
    )


# --- over processes -------------------------------------------------------------------------------


def hammer(fd, worker, out, seconds, rate, burst):  # noqa: PLR0917 - of another process
    area, interval = QuotaArea(fd, worker), round(S / rate)
    until, admitted, asked = time.monotonic() + seconds, 0, 0
    while time.monotonic() < until:
        asked += 1
        admitted += not area.wait_s(b"flood", interval, interval * (burst - 1), 0)
    out.put((admitted, asked))


@pytest.mark.parametrize("rate", [200, 5_000])
def test_exact_over_four_processes(fd, rate):
    """Each of them as fast as it can, with one key: what they admit together is the quota's."""
    fork = multiprocessing.get_context("fork")
    out, burst, seconds = fork.Queue(), rate // 2, 1.5
    began = time.monotonic()
    args = [(fd, worker, out, seconds, rate, burst) for worker in range(4)]
    workers = [fork.Process(target=hammer, args=one) for one in args]
    for worker in workers:
        worker.start()
    counts = [out.get(timeout=60) for _ in workers]
    took = time.monotonic() - began
    for worker in workers:
        worker.join()
    admitted = sum(one for one, _ in counts)
    print(admitted, "admitted of", sum(all_ for _, all_ in counts), "in", took)
    assert admitted <= 1.05 * (rate * took + burst)
    assert admitted >= 0.95 * (rate * seconds + burst)
