"""What holds for every folder: nightly tests on demand, strict times on demand."""

import gc
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from router.loops import BOOKS

SPREAD = (
    "tests/test_main.py",
    "tests/reliability/test_state.py",
    "tests/reliability/test_life.py",
    "tests/reliability/test_resources.py",
    "tests/reliability/test_tls.py",
    "tests/reliability/test_clients.py",
    "tests/reliability/test_framing.py",
    "tests/reliability/test_backends.py",
    "tests/reliability/test_shadow.py",
    "tests/control/outside/test_real_prometheus.py",
    "tests/control/rollouts/test_experiment.py",
    "tests/config/test_hostile.py",
    "tests/config/test_extensions.py",
    "tests/http1/test_properties.py",
    "tests/fuzz/test_http1_fuzz.py",
    "tests/core/wire/test_receipt.py",
    "tests/core/test_quantities.py",
    "tests/simulation/test_run.py",
)
"""Modules of long tests, the longest first: spread test by test over one half of the workers.

Most of what they do is waiting for processes, which leaves the processor to the other half. Those
take the other modules, whole, so that what their tests share is made once. Whoever is done helps.
"""

WHOLE = ("tests/control/outside/test_real_prometheus.py",)
"""Of these, what shares something that takes long to start."""

# Tests start a few hundred Pythons. Where the environment forbids bytecode, as many containers do,
# each of them would compile the whole router anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# No test trusts the machine's authorities; aiohttp reads them at import, a tenth of a start.
os.environ.setdefault("SSL_CERT_FILE", os.devnull)

GROUPS = {
    "nightly": "run with -m nightly",
    "newcomer": "run by make test-newcomer",
    "peers": "run by make test-peers",
    "install": "run by make test-install",
    "printed": "run by make test-printed",
    "live": "run by make test-live or make test-recordings",
    "log": "run by make test-log",
    "people": "run by make test-people",
    "fleet": "run by make test-fleet",
    "api": "run by make test-api",
    "oracles": "run by make test-oracles",
    "promoted": "run by make test-promoted",
    "batch": "run by make test-batch",
    "cascade": "run by make test-cascade",
    "simulated": "run by make test-simulated",
    "services": "run by make test-services",
    "compiled": "run by make test-compiled",
    "cost": "run by make check",
    "page": "run by make test-page",
    "wiring": "run by make check",
}
"""Marks of tests that the whole run leaves out, and what runs them."""

MODULE_MARK = re.compile(r"^pytestmark = .*?pytest\.mark\.(\w+)", re.MULTILINE)
"""In what is read of a module, the mark that all its tests have."""


def pytest_addoption(parser):
    parser.addoption(
        "--strict-times",
        action="store_true",
        help="assert the promised times themselves: serially, on a machine that does nothing else",
    )


def pytest_configure(config):
    if config.getoption("--strict-times"):
        os.environ["RAMPWAY_STRICT_TIMES"] = "1"  # processes that tests start see it too
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts background jobs so; the programs that tests interrupt would inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_ignore_collect(collection_path, config):
    """The whole run does not import modules of other groups: their models and clients take seconds.

    Whoever names a folder or a file gets its tests, skipped with the reason.
    """
    if [Path(one).name for one in config.args] != ["tests"] or collection_path.is_dir():
        return None
    return _group(collection_path, config.getoption("-m")) is not None or None


def _group(path, asked):
    """The group that all tests of a module belong to, if it was not asked for."""
    if path.name.startswith("test_") and path.suffix == ".py":
        found = MODULE_MARK.search(path.read_text())
        if found and found[1] in GROUPS and found[1] not in asked:
            return found[1]
    return None


def pytest_terminal_summary(terminalreporter, config):
    """What was not imported is told like what was skipped."""
    if [Path(one).name for one in config.args] != ["tests"]:
        return
    asked = config.getoption("-m")
    groups = [_group(path, asked) for path in Path(__file__).parent.rglob("test_*.py")]
    for group in sorted({one for one in groups if one}):
        number = groups.count(group)
        terminalreporter.write_line(f"LEFT OUT [{number}] modules of {group}: {GROUPS[group]}")


def pytest_collection_modifyitems(config, items):
    """Skip the groups that have a command of their own unless ``-m`` names them."""
    for group, how in GROUPS.items():
        skip = pytest.mark.skip(reason=f"{group}: {how}")
        for item in items if group not in config.getoption("-m") else ():
            if item.get_closest_marker(group):
                item.add_marker(skip)


@pytest.fixture(autouse=True)
def no_failures_of_other_tests():
    """What one test made fail is not in the health that another one asks for."""
    kept = BOOKS.__dict__.copy()
    BOOKS.__init__()
    yield
    BOOKS.__dict__.update(kept)


def pytest_collection_finish():
    """What is there to stay is not searched for garbage again and again: seconds per worker."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Long tests first; groups by marks are lost in xdist 3.8 on pytest 9.2, without a word."""
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class LongFirst(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            module = nodeid.partition("::")[0]
            return nodeid if module in SPREAD and module not in WHOLE else module

        def _assign_work_unit(self, node):
            waits = self.nodes.index(node) % 2 == 0
            self.workqueue.move_to_end(min(self.workqueue, key=_ranks(waits)), last=False)
            super()._assign_work_unit(node)

    return LongFirst(config, log)


def _ranks(waits):
    """The order in which a worker takes modules; those with most tests come first among equals."""

    def rank(scope):
        module = scope.partition("::")[0]
        place = SPREAD.index(module) if module in SPREAD else -1
        return place < 0 if waits else place >= 0, place

    return rank
