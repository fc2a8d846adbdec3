"""The coin: fair, and a stranger to everything that clients are shown."""

from __future__ import annotations

import random
from collections import Counter

from router.core.rollout.traffic import bucket_of
from router.core.wire.endpoint import EndpointEntry
from router.core.wire.table import StickyEntry, StickyKind
from router.proxy.assign import assign
from router.proxy.coin import coin
from router.proxy.matching import NO_DOCUMENT
from router.proxy.serving import ServedRoute
from router.telemetry.recorder import Recorder
from router.upstream import Pools
from tests.proxy.rig import Rig, replace, rollout
from tests.proxy.scripted import Scripted, answers, ok
from tests.proxy.test_assign import head

DRAWS = 100_000


def test_every_place_is_as_likely():
    counts = Counter(coin() // 100 for _ in range(DRAWS))
    expected = DRAWS / 100
    chi2 = sum((counts[place] - expected) ** 2 / expected for place in range(100))
    assert 40 < chi2 < 180, chi2  # 99 degrees of freedom: 1 in 10 million outside


def untempered(y):
    """The word of a Mersenne Twister's state behind one of its outputs."""
    y ^= y >> 18
    y ^= (y << 15) & 0xEFC60000
    x = y
    for _ in range(7):
        x = y ^ ((x << 7) & 0x9D2C5680)
    y = x & 0xFFFFFFFF
    x = y
    for _ in range(3):
        x = y ^ (x >> 11)
    return x & 0xFFFFFFFF


def test_the_attack_itself_predicts_a_mersenne_twister():
    seen = random.Random(7)
    known = random.Random()
    words = [untempered(seen.getrandbits(32)) for _ in range(624)]
    known.setstate((3, (*words, 624), None))
    assert [known.random() for _ in range(50)] == [seen.random() for _ in range(50)]


def test_all_coins_of_100_000_receipts_tell_nothing_of_the_next():
    """Whoever has the nonces knows the state of the generator that made them; it makes no coins."""
    words, guesses = [], Counter()
    for number in range(DRAWS):
        nonce, drawn = random.getrandbits(64), coin()
        words += [untempered(nonce & 0xFFFFFFFF), untempered(nonce >> 32)]
        if number % 1_000 == 999:
            known = random.Random()
            known.setstate((3, (*words[-624:], 624), None))
            assert known.getrandbits(64) == random.getrandbits(64), "the attack works"
            words = []
            guess = int(known.random() * 10_000) // 5_000
            guesses["right" if guess == coin() // 5_000 else "wrong"] += 1
        guesses[("low" if drawn < 5_000 else "high", nonce & 1)] += 1
    assert 20 <= guesses["right"] <= 80, guesses  # of 100; 1 in a billion outside
    for side in ("low", "high"):
        assert abs(guesses[side, 0] - guesses[side, 1]) < 6 * (DRAWS / 2) ** 0.5


# --- sticky keys ----------------------------------------------------------------------------------

SALT = "0123456789abcdef0123456789abcdef"


def candidates(salt, keys, weight_bp=1_000):
    return {key for key in keys if bucket_of(key, salt.encode()) < weight_bp}


def test_who_knows_the_hash_but_not_the_salt_knows_nothing():
    keys = [b"user-%d" % n for n in range(20_000)]
    computed, real = candidates("", keys), candidates(SALT, keys)
    both = len(computed & real) / len(computed)
    assert 0.07 < both < 0.13, "a tenth of them, as of everybody"


async def test_a_sticky_route_hashes_with_its_salt():
    pools, nobody = Pools(), EndpointEntry("127.0.0.1", 9)
    sticky = StickyEntry(StickyKind.HEADER, "x-user", salt=SALT)
    made = ServedRoute(rollout(nobody, nobody, 1_000, sticky=sticky), pools, Recorder())
    for number in range(300):
        key = b"user-%d" % number
        got = assign(made, head(f"X-User: {key.decode()}"), NO_DOCUMENT).version
        expected = made.draw.at(bucket_of(key, SALT.encode()))
        assert got is expected
    pools.close()


async def test_10_000_requests_of_a_client_that_cannot_see_its_arm_prove_nothing():
    """It fails as many requests as it likes; both arms get their share of them.

    Held against an exact test with the false alarm rate of a rollout, 1 in 1,000 each.
    """
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    convicted = 0
    for _ in range(20):
        salt = rng.randbytes(16)
        evidence = Counter()
        for number in range(10_000):
            key = b"attacker-%d-%d" % (seed, number)
            arm = "candidate" if bucket_of(key, salt) < 1_000 else "stable"
            evidence[arm, rng.random() < 0.3] += 1
        convicted += convicts(evidence)
    assert convicted <= 2


def convicts(counts):
    """Whether an exact test at 1 % would: the bound of every evidence there is."""
    bad = counts["candidate", True] + counts["stable", True]
    expected = bad * 0.1
    excess = counts["candidate", True] - expected
    return excess > 3.1 * (bad * 0.1 * 0.9) ** 0.5


async def test_an_answer_does_not_tell_its_version_where_the_policy_says_so():
    async with Scripted(answers(ok())) as one, Scripted(answers(ok())) as two:
        entry = rollout(one, two, 5_000, receipt_secret="x" * 16, reveal_version=False)
        async with Rig(entry) as rig:
            client = await rig.client()
            heads, lengths = set(), set()
            for _ in range(60):
                answer = await client.ask()
                heads.add(tuple(sorted(answer.headers)))
                lengths.add(len(answer.headers[b"x-rampway-receipt"]))
                assert b"v1" not in answer.headers[b"x-rampway-receipt"].split(b".")[-1]
            client.close()
            assert min(len(one.requests), len(two.requests)) > 10
            assert len(heads) == 1
            assert b"x-rampway-version" not in next(iter(heads))
            assert len(lengths) == 1
        async with Rig(replace(entry, reveal_version=True)) as rig:
            assert (await rig.ask()).headers[b"x-rampway-version"] in (b"v1", b"v2")
