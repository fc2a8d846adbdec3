"""What a verb and each process may import, and which parts of a policy a check builds.

Each of these alone costs what Python itself takes to start, or half a megabyte in every process
(docs/decisions/032-what-a-start-may-import.md). tests/cli/test_connection.py has the client verbs.
"""

import json
import shutil
import subprocess
import sys

import pytest

from tests.reliability.certificates import Authority

SERVER = {"aiohttp", "uvloop", "sqlite3", "ssl", "asyncio", "router.control", "router.proxy"}
"""What only who serves needs."""
DECIDING = {
    "router.core.judge", "router.core.monitors.checks", "router.core.pairs.comparison",
    "router.core.rollout.events",
    "router.core.wire.outcomes", "router.core.wire.sampled", "router.core.wire.table",
}  # fmt: skip
"""What only who routes, counts and decides needs: a policy is read without what moves there."""
UNWRITTEN = {
    "router.cli.options", "router.config.hints", "router.config.schema",
    *(f"router.core.gates.{gate}" for gate in (
        "accuracy", "auc", "business", "cascade", "classes", "cost", "fairness", "judge", "mae",
        "nulls", "positive_rate", "prometheus", "resources", "scores", "shadow_slo", "slo",
        "streams", "trust", "webhook",
    )),
    *(f"router.core.policy.{part}" for part in (
        "answers", "cache", "hooks", "metrics", "monitors", "priority", "quota", "recording",
        "review", "tunnels",
    )),
}  # fmt: skip
"""What configs/canary.yaml does not write, and the words for what is wrong in it."""
COUNTING = {"router.core.monitors.checks", "router.core.monitors.monitors", "router.core.snapshots"}
"""How monitors count; who sends them values does without."""
COMPARING = {"router.core.pairs.comparison", "router.link.reading"}
"""What is said between control and the reader; a worker makes no types of it."""
COUNTED = {"router.core.wire.table", "router.core.wire.outcomes", "router.link.messages"}
"""What is said between control and workers; the reader makes no types of it."""
LOGGING = {"router.reader.clerk", "router.reader.keeper", "hashlib", "pathlib", "urllib.parse"}
"""How a prediction log is kept, and 2 MB: for a reader that is told of one."""
CHECK = "import router.__main__ as it; sys.argv[1:] = ['check', 'configs/canary.yaml']; it.main()"

WITHOUT = {
    "rampway check": (
        CHECK,
        SERVER | DECIDING | UNWRITTEN | {"click", "msgspec", "numpy", "rich", "argparse"},
    ),
    "the reader": (
        "import router.reader.process",
        COUNTING
        | COUNTED
        | LOGGING
        | {"pydantic", "yaml", "asyncio", "aiohttp", "argparse", "structlog", "router.core.policy"},
    ),
    "a worker": (
        "import router.proxy.worker",
        COUNTING
        | COMPARING
        | {"pydantic", "yaml", "aiohttp", "argparse", "numpy", "structlog", "router.core.policy"},
    ),
    "control": ("import router.main", {"click", "numpy", "rich", "asyncpg", "pyarrow"}),
}
"""Who starts -> how, and what it does without."""


def behind(code, said):
    """What is true of a program of its own, behind ``code``."""
    program = f"import json, sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\n{said}"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.parametrize("who", WITHOUT)
def test_it_starts_without(who):
    code, slow = WITHOUT[who]

    assert slow & set(behind(code, "print(json.dumps([*sys.modules]))")) == set()


BUILT = """
from router.core.spec import Spec
def below(kind):
    return [kind, *(one for child in kind.__subclasses__() for one in below(child))]
print(json.dumps([one.__name__ for one in below(Spec) if one.__pydantic_complete__]))
"""


def test_a_check_builds_only_what_is_written():
    built = set(behind(CHECK, BUILT))

    assert {"Policy", "Route", "Canary", "ErrorRate"} <= built
    assert {"BlueGreen", "MonitorsPolicy", "Webhook", "Mirroring"} & built == set()
    assert len(built) < 30


DATA_CLASSES = """
print(json.dumps(sum(
    isinstance(one, type) and one.__module__ == name and "__dataclass_params__" in vars(one)
    for name, module in list(sys.modules.items()) for one in list(vars(module).values())
)))
"""


@pytest.mark.parametrize(("who", "most"), [("the reader", 27), ("a worker", 86)])
def test_it_makes_few_data_classes(who, most):
    """Each has its methods compiled from text as the process starts, which takes 0.7 ms."""
    assert behind(WITHOUT[who][0], DATA_CLASSES) <= most


SERVED = "import router.__main__ as it; sys.argv[1:] = ['serve', 'nowhere.yaml']; it.main()"
OURS = """
print(json.dumps([name for name in sys.modules if name.startswith("router.")]))
"""


def test_before_the_first_worker_is_forked_there_is_what_both_have_and_no_more():
    before = set(behind("import router.__main__ as it; [*map(it.import_module, it.SHARED)]", OURS))
    control, worker = (set(behind(WITHOUT[who][0], OURS)) for who in ("control", "a worker"))
    command = {name for name in before if name.startswith(("router.__main__", "router.cli"))}

    assert before - command == (control & worker) - {"router.link.spare"}


def test_control_has_no_code_that_forwards():
    """The first worker is forked before it imports that; what it then writes stays its own."""
    control = behind(SERVED, OURS)

    assert "router.control.plane" in control
    assert [name for name in control if name.startswith("router.proxy")] == []


TRUST = """
import os, aiohttp.connector as it
shown = {name: value for name, value in os.environ.items() if name.startswith("SSL_CERT_")}
print(json.dumps([it._SSL_CONTEXT_VERIFIED.cert_store_stats()["x509"], shown]))
"""


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate")
def test_a_router_reads_no_authorities_until_it_calls_somebody(monkeypatch, tmp_path):
    believed = Authority(tmp_path).file
    monkeypatch.setenv("SSL_CERT_FILE", believed)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)

    read, shown = behind(SERVED, TRUST)

    assert read == 0
    assert shown == {"SSL_CERT_FILE": believed}, "as whoever started it said"
