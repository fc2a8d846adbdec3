"""Programs over several routers, on a machine that lacks what they need."""

import runpy
import sys

import pytest

from tests import postgres_server

ASYNCPG = "wants asyncpg: pip install 'rampway[postgres]'\n"
PROGRAMS = ["tests.fleet.cost", "tests.fleet.orders", "tests.fleet.spread", "tests.fleet.rounds"]


def said(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(name, run_name="__main__", alter_sys=False)
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("name", [*PROGRAMS, "tests.fleets"])
def test_without_the_extra_a_program_says_what_to_install(name, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    assert said(name, monkeypatch, capsys) == ASYNCPG


@pytest.mark.parametrize("name", PROGRAMS[:3])
def test_without_a_server_a_program_says_what_to_install(name, monkeypatch, capsys):
    pytest.importorskip("asyncpg", reason="wants asyncpg: pip install 'rampway[postgres]'")
    monkeypatch.setattr(postgres_server, "programs", lambda: None)
    told = said(name, monkeypatch, capsys)
    assert told == "wants a PostgreSQL server: apt-get install postgresql\n"
