"""The page *Data quality*: what is told of a signal, and to whom categories have names."""

import msgspec
import pytest

from router.control.predictions.watching import RouteWatch
from router.control.told.data_desk import cell_names, data_view
from router.control.told.data_views import DataView
from router.core.monitors.profile import profiled
from router.core.policy.monitors import MonitorsPolicy
from tests.core.monitors.test_monitors import Feed, made


@pytest.fixture
def watch():
    one = made()
    one.begin("r-1/1")
    Feed(one).slots(60).slots(12, x=3.0, null=0.2)
    return RouteWatch(one, MonitorsPolicy())


def test_a_signal_that_moved(watch):
    told = data_view("r", watch, ("x", ""), named=False)
    x, _c, score = told.signals
    assert (x.output, score.output, x.kind) == (False, True, "numeric")
    sizes = {check.check: check for check in x.checks}
    assert sizes["nulls"].size >= sizes["nulls"].limit
    assert x.psi[-1] == sizes["distribution"].size
    assert x.chance < 1e-6
    assert x.ks > 0.1
    assert any(alarm.signal == "x" and alarm.check == "nulls" for alarm in told.alarms)
    chosen = told.chosen
    assert len(chosen.cells) == len(chosen.reference) == len(chosen.now) == 10
    assert sum(chosen.reference) == pytest.approx(1.0, abs=1e-3)
    assert {arm.rows > 0 for arm in chosen.arms.values()} == {True}
    assert set(chosen.arms) == {"stable", "candidate"}
    assert chosen.arms["stable"].nulls == pytest.approx(chosen.arms["candidate"].nulls, abs=0.05)
    assert len({len(getattr(chosen.course, name)) for name in ("at", "ks", "nulls")}) == 1


def test_what_clients_sent_has_names_for_those_who_may_read_rows(watch):
    hidden = data_view("r", watch, ("c", ""), named=False).chosen
    shown = data_view("r", watch, ("c", ""), named=True).chosen
    assert hidden.cells == ["category 1", "category 2", "others"]
    assert set(shown.cells) == {"a", "b", "others"}


def test_ranges_are_told_in_words():
    profile = profiled("numeric", [float(n) for n in range(101)])
    assert cell_names(profile, named=True)[::9] == ["below 10", "from 90"]
    assert cell_names(profiled("numeric", [5.0] * 9), named=True) == ["5 to 5"]


def test_a_route_that_nobody_watches(watch):
    told = data_view("r", None, None, named=True)
    assert (told.watched, told.signals) == (False, [])
    assert data_view("r", watch, ("nosuch", ""), named=True).chosen is None
    assert data_view("r", watch, ("x", "nosuch"), named=True).chosen is None
    again = msgspec.convert(data_view("r", watch, ("x", ""), named=True).to_json(), DataView)
    assert again.chosen.name == "x"
