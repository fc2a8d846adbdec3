"""Users who were drawn, each once however many workers meet them; who is used up counts anew."""

import json

import pytest

from router.core.evidence.users import BETS_MAX, ROUND_S, Users, bets_of
from router.core.wire.outcomes import ArmCounts, Cell, UserCounts


def users_cell(number, drawn, source=1, round_=0, **more):
    users = UserCounts(drawn, betting=len(drawn), **more)
    known = len(users.open)
    arm = ArmCounts(ok=len(drawn) - known, arrived=len(drawn), users=users)
    empty = ArmCounts(users=UserCounts(slow=((),) * len(users.slow)))
    return Cell(500, arm, empty, sticky=True, source=source, slice=number, round=round_)


def test_a_user_counts_once_however_many_workers_meet_him():
    users = Users()
    one = users.admit(users_cell(1, (1, 2, 3), open=(3,), bad=(1,), slow=((2, 3),), first_bad=(1,)))
    firsts, betting = one.firsts[0], one.betting[0]
    assert (firsts.arrived, firsts.ok, firsts.bad, firsts.slow, firsts.fast) == (
        3,
        1,
        1,
        (2,),
        (1,),
    )
    assert (betting.arrived, betting.bad) == (3, 1)
    other = users.admit(users_cell(1, (2, 4), source=2, bad=(2,), first_bad=(1, 2)))
    assert (other.firsts[0].arrived, other.firsts[0].bad) == (1, 0)
    assert (other.betting[0].bad, other.betting[0].ok) == (1, 1)
    twin = Users()
    twin.restore(json.loads(json.dumps(users.snapshot())))
    later = users_cell(1, (1, 2, 3), bad=(1, 3), slow=((2, 3),), first_bad=(1, 3))
    for one in (users, twin):
        again = one.admit(later)
        assert (again.firsts[0].arrived, again.firsts[0].bad, again.firsts[0].ok) == (3, 2, 1)
        assert again.betting[0].bad == 2
        assert one.admit(later).firsts is None, "it has ended"
    assert users.snapshot() == twin.snapshot()


def test_a_new_round_begins_with_everybody_and_what_was_open_may_end():
    users = Users()
    users.admit(users_cell(1, (1,), open=(1,)))
    users.begin(1)
    twin = Users()
    twin.restore(json.loads(json.dumps(users.snapshot())))
    for one in (users, twin):
        late = one.admit(users_cell(1, (1, 4)))
        assert (late.firsts[0].ok, late.newcomers[0].ok) == (2, 2)
        assert one.admit(users_cell(9, (8,))).firsts is None, "told of after its round"
        again = one.admit(users_cell(10, (1, 4, 6), round_=1))
        assert (again.firsts[0].arrived, again.newcomers[0].arrived) == (3, 1)
        assert again.betting[0].arrived == 3
    users.admit(users_cell(13, (5,), round_=1, open=(5,)))
    users.abandon(9)
    assert len(users.snapshot()["arms"]) == 1
    users.abandon(None)
    assert users.snapshot()["arms"] == users.snapshot()["newest"] == []


def test_a_snapshot_of_before_there_were_rounds_is_taken_over():
    users, twin = Users(), Users()
    users.admit(users_cell(1, (1, 2), open=(2,)))
    older = users.snapshot()
    del older["before"], older["betting"]
    older["arms"] = [[*one[:2], *(arm[:5] for arm in one[2:4])] for one in older["arms"]]
    twin.restore(json.loads(json.dumps(older)))
    assert twin.admit(users_cell(1, (1, 2))).newcomers[0].ok == 2


def test_users_are_used_up_when_few_requests_can_still_bet():
    users = Users()

    def asked(number, betting):
        counts = UserCounts((number,), betting=betting)
        arm = ArmCounts(ok=200, arrived=200, users=counts)
        users.admit(Cell(500, arm, ArmCounts(users=UserCounts()), sticky=True, source=1,
                         slice=number))  # fmt: skip

    for number in range(1, 9):
        asked(number, 200)
    assert not users.used_up
    for number in range(9, 30):
        asked(number, 2)
    assert users.used_up
    assert users.stale(ROUND_S)
    assert not users.stale(ROUND_S - 1.0)
    users.begin(1, ROUND_S)
    assert not users.used_up, "in a new round nobody was met"


def test_a_round_has_only_begun_while_nearly_all_of_its_requests_can_bet():
    users = Users()
    assert not users.comparing, "the first round is the rollout's"

    def asked(number, betting, weight_bp=500):
        arm = ArmCounts(ok=100, arrived=100, users=UserCounts((number,), betting=betting))
        users.admit(Cell(weight_bp, arm, ArmCounts(users=UserCounts()), sticky=True, source=1,
                         slice=number, round=users.round))  # fmt: skip

    users.begin(1)
    assert users.comparing
    asked(1, 100)
    assert users.comparing
    asked(2, 50)
    assert not users.comparing
    users.begin(2)
    asked(3, 100, 10_000)
    assert not users.comparing, "who was met at 100 % was drawn by no coin"


def test_cells_without_users_are_let_through_as_they_are():
    plain = Cell(500, ArmCounts(ok=1), ArmCounts(), sticky=True)
    assert Users().admit(plain) is plain


@pytest.mark.parametrize(
    ("rate", "workers", "bets"), [(0.01, 1, 50), (0.01, 4, 12), (0.4, 1, 1), (0.0, 1, BETS_MAX)]
)
def test_how_many_requests_of_a_user_bet(rate, workers, bets):
    assert bets_of(rate, workers) == bets
