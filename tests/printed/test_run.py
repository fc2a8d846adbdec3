"""Every command of every page, run as printed in a bare shell."""

import re
from dataclasses import dataclass

import pytest

from tests.printed.commands import ROOT, commands
from tests.printed.conftest import RUN_S

pytestmark = [pytest.mark.printed, pytest.mark.timeout(180)]

STAYS = re.compile(r"^rampway serve| -w$|^rampway status|^rampway history.* -f")
"""These run until somebody ends them: still running is what is expected."""
STAYS_S = 4
WORDS = {"ROUTE": "flight-delay", "POLICY": "policy.yaml"}
MAKE = "its own group of .ci/run, or a measurement that its page names"
SWITCHED = (ROOT / "configs/blue-green.yaml").read_text()


@dataclass(frozen=True)
class Before:
    """What has to be so before a command: orders given, a router running, another policy."""

    orders: tuple[str, ...] = ()
    router: bool = True
    policy: str = ""


ALONE = Before(router=False)
BEFORE = {
    "rampway retry": Before(("rampway abort ROUTE",)),
    "rampway resume": Before(("rampway pause ROUTE",)),
    "rampway freeze --off": Before(("rampway freeze --reason test",)),
    "rampway switch": Before(policy="blue-green"),
    "rampway serve": ALONE,
    "rampway check": ALONE,
    "rampway plan": ALONE,
    "rampway simulate": ALONE,
    "rampway diff": ALONE,
    "rampway init": ALONE,
    "rampway schema": ALONE,
    "rampway import": ALONE,
    "rampway replay": ALONE,
    "rampway version": ALONE,
    "rampway store restore": Before(("rampway store backup rampway.db copy.db", "kill ROUTER")),
}
"""The longest beginning that fits counts; every other command meets a router that just started."""


def before(text):
    """What a command needs."""
    fits = [start for start in BEFORE if text.startswith(start)]
    return BEFORE[max(fits, key=len)] if fits else Before()


def shown(printed):
    return f"{printed.page}: {printed.text[:60]}"


@pytest.mark.parametrize("printed", commands(), ids=shown)
def test_it_runs_as_printed(printed, world):
    if printed.why_not:
        pytest.skip(printed.why_not)
    if printed.text.startswith("make "):
        target = printed.text.split()[1]
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        pytest.skip(MAKE)
    if printed.text.startswith("pytest "):
        world.folder = ROOT
        out, code = world.run(f"{printed.text.split('   ')[0]} --collect-only -q")
        assert code == 0, out
        return
    needs = before(printed.text)
    if needs.policy:
        (world.folder / "policy.yaml").write_text(SWITCHED)
    if needs.router:
        world.start()
    for order in needs.orders:
        if order == "kill ROUTER":
            world.stop()
        else:
            out, code = world.run(named(order, world))
            assert code == 0, f"{order}: {out}"
    stays = STAYS.search(printed.text)
    out, code = world.run(named(printed.text, world), STAYS_S if stays else RUN_S)
    print(out)
    assert code == (124 if stays else 0), out
    assert "Traceback" not in out


def named(text, world):
    """The command with this world's names for those in capitals."""
    names = WORDS | ({"OLD_PID": str(world.router.pid)} if world.router else {})
    for word, name in names.items():
        text = re.sub(rf"\b{word}\b", name, text)
    return text.removesuffix(" &")
