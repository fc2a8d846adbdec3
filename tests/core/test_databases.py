import pytest

from router.cli import check as cli_check
from router.config import check
from router.config.problems import PolicyError
from router.core.databases import named

POLICY = """\
store: {}
routes: [{{name: r, stable: v1, versions: {{v1: {{endpoints: ["http://127.0.0.1:1"]}}}}}}]
"""


@pytest.mark.parametrize(("url", "shown"), [
    ("postgresql://ann:secret@db:5433/models?sslmode=require", "postgresql://ann@db:5433/models"),
    ("postgresql://db/models", "postgresql://db/models"),
    ("postgresql:///models?host=/run/pg&password=secret", "postgresql:///models"),
    ("postgresql://ann@[::1]/models", "postgresql://ann@[::1]/models"),
])  # fmt: skip
def test_a_url_is_shown_without_what_is_secret(url, shown):
    assert named(url) == shown


@pytest.mark.parametrize(("store", "said"), [
    ("postgresql://db", "expected postgresql://USER@HOST/DATABASE, with the name of a database"),
    ("postgresql://db:port/x", "expected postgresql://USER@HOST/DATABASE, with the name of a"),
    ("postgres://ann:secret@db/x", "without a password, which PGPASSFILE or PGPASSWORD has"),
    ("postgres:///x?host=/run&password=secret", "without a password, which PGPASSFILE or"),
    ("mysql://ann:secret@db/x", "expected sqlite:///FILE or postgresql://USER@HOST/DATABASE, got"),
    ("sqlite:///", "expected sqlite:///FILE or postgresql://USER@HOST/DATABASE, got 'sqlite'"),
])  # fmt: skip
def test_a_store_that_is_none_is_refused_at_its_line(store, said):
    with pytest.raises(PolicyError) as told:
        check.loads(POLICY.format(store))
    (problem,) = told.value.problems
    assert (problem.path, problem.mark.line) == ("store", 1)
    assert said in problem.message
    assert "secret" not in problem.message + problem.snippet


@pytest.mark.parametrize("there", [True, False])
def test_check_says_that_a_driver_is_missing_here(monkeypatch, there, tmp_path, capsys):
    monkeypatch.setattr(cli_check, "find_spec", lambda _name: object() if there else None)
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.format("postgresql://rampway@db/rampway"))
    cli_check.run([policy])
    said = capsys.readouterr().out
    missing = "store: a store in PostgreSQL needs asyncpg: pip install 'rampway[postgres]', where"
    assert (f"{policy}: {missing}" in said) is not there
    assert f"{policy}: ok" in said
