"""What a backend that closes idle connections is known by, and what is no such sign."""

from __future__ import annotations

import random
import time
from math import inf

from router.upstream import Pool
from router.upstream.patience import ALIKE, APART_S, KNOWN_S, MARGIN, YOUNG_S, IdlePatience
from tests.proxy.rig import until, version
from tests.proxy.scripted import Scripted, answers, ok
from tests.upstream.test_pool import Asker


def test_two_closes_of_one_age_are_a_timer_and_shorter_ones_are_believed():
    patience = IdlePatience()
    assert not patience.closed(0.5, 10.0)
    assert patience.used_s == inf, "one may be an accident"
    assert patience.closed(0.52, 11.0)
    assert patience.used_s == MARGIN * 0.5
    assert not patience.closed(0.5, 12.0), "nothing new"
    assert not patience.closed(0.2, 13.0)
    assert patience.closed(0.21, 14.0)
    assert patience.used_s == MARGIN * 0.2
    assert not patience.forget(14.0 + KNOWN_S - 0.1)
    assert patience.forget(14.0 + KNOWN_S)
    assert patience.used_s == inf
    assert not patience.forget(1e9)
    assert repr(patience)


def test_closes_that_come_late_do_not_unlearn_the_timer():
    """A backend that is busy closes behind its timer: twice so is not another timer."""
    patience = IdlePatience()
    for at, age_s in enumerate((0.12, 0.12, 0.22, 0.22, 0.13, 0.3, 0.3)):
        patience.closed(age_s, float(at))
    assert patience.used_s == MARGIN * 0.12
    assert not patience.forget(1.0 + KNOWN_S - 0.1)
    assert patience.forget(4.0 + KNOWN_S), "only closes of its age keep it known"
    assert not patience.closed(0.3, 5.0 + KNOWN_S)
    assert patience.closed(0.3, 6.0 + KNOWN_S)
    assert patience.used_s == MARGIN * 0.3


def test_a_process_that_ends_is_no_timer():
    """Its connections are of any age, or of one, and are closed at once."""
    for seed in range(200):
        draw, patience = random.Random(seed), IdlePatience()
        for _ in range(50):
            patience.closed(
                draw.choice([0.5, draw.uniform(0, 1.5)]), 10.0 + draw.uniform(0, APART_S)
            )
        assert patience.used_s == inf, f"{seed=}"


def test_closes_right_behind_an_answer_and_of_different_ages_are_no_timer():
    patience = IdlePatience()
    for at in range(20):
        assert not patience.closed(YOUNG_S / 2, float(at))
    age_s = 0.1
    for at in range(10):
        assert not patience.closed(age_s, 100.0 + at)
        age_s *= 1 + 1.1 * ALIKE
    assert patience.used_s == inf


async def idle(pool):
    asker = Asker(pool)
    await until(lambda: asker.over)
    (endpoint,) = pool.endpoints
    return endpoint.idle[-1]


async def test_a_pool_uses_connections_for_half_as_long_as_its_backend_keeps_them():
    async with Scripted(answers(ok())) as backend:
        pool = Pool(version("v1", backend, keep_alive_s=1.5), connect_s=1.0)
        (endpoint,) = pool.endpoints
        for at in (0.0, 1.0):
            connection = await idle(pool)
            assert endpoint.keep_s == 1.5
            connection.idle_since = time.monotonic() - 0.4 - at / 100
            endpoint.patience._at -= 1.0  # the closes are a second apart
            connection.eof_received()
            await until(lambda: pool.open == 0)
        assert 0.19 < endpoint.keep_s < 0.21
        connection = await idle(pool)
        assert connection.idle_until - connection.idle_since < 0.21
        pool.update(version("v1", backend, keep_alive_s=0.1), connect_s=1.0)
        assert endpoint.keep_s == 0.1, "the policy may say less"
        pool.update(version("v1", backend, keep_alive_s=1.5), connect_s=1.0)
        assert 0.19 < endpoint.keep_s < 0.21
        pool.sweep(time.monotonic() + KNOWN_S + 1)
        assert endpoint.keep_s == 1.5, "and what is not seen again is tried again"
        pool.close()
