"""Files that a policy names: each key of NAMED, what is told of it, and that none is missing."""

import os
import re
import shutil
import subprocess

import pytest

from router.config import named_files
from router.config.check import load, loads
from router.config.named_files import NAMED, FilesMissing, problems, servable
from router.config.problems import Severity
from router.config.schema import schema
from router.config.watch import FileWatch
from router.upstream.table_file import write_table
from tests.cli.conftest import rampway
from tests.reliability.certificates import Authority

KEYS = {
    "tls.certificate": 'tls: {certificate: "NAME", key: KEY}',
    "tls.key": 'tls: {certificate: CERTIFICATE, key: "NAME"}',
    "admin.tls.certificate": 'admin: {tls: {certificate: "NAME", key: KEY}}',
    "admin.tls.key": 'admin: {tls: {certificate: CERTIFICATE, key: "NAME"}}',
    "store": 'store: "sqlite:///NAME"',
    "recording.file": 'recording: {file: "NAME"}',
    "prediction_log.file": 'prediction_log: {file: "NAME"}',
    "routes.*.versions.*.tls.ca": 'tls: {ca: "NAME"}',
    "routes.*.versions.*.tls.certificate": 'tls: {certificate: "NAME", key: KEY}',
    "routes.*.versions.*.tls.key": 'tls: {certificate: CERTIFICATE, key: "NAME"}',
    "routes.*.versions.*.table.file": 'table: {file: "NAME", key: {header: X-Id}, miss: v2}',
    "routes.*.monitors.reference.file":
        'payload: json\n    predictions: {features: {age: numeric}}\n'
        '    monitors: {reference: "NAME"}',
}  # fmt: skip
"""How each key of the table is written."""
IS_NO_FILE = {
    "tls", "alerts[].url", "routes[].rollout.alerts[].url", "recording.size",
    "recording.keep", "routes[].monitors.reference", "routes[].monitors.by",
    "routes[].rollout.false_rollback_scope", "admin.tokens[].token",
    "routes[].sticky.cookie.secret",
    "routes[].sticky.salt", "routes[].feedback.secret", "routes[].fallback.answer",
    "routes[].fallback.table",
}  # fmt: skip
"""Keys that speak of files and name none, or name one as ``${file:...}``, which is read at once."""
WORD = re.compile(r"\b(files?|folder|directory|PEM|CSV|Parquet)\b", re.IGNORECASE)
NAMES = {"file", "ca", "certificate", "key_file", "folder"}


def written(key, name, good=None):
    """A policy with this key and nothing else of the kind."""
    part = KEYS[key].replace("NAME", str(name))
    if good is not None:
        part = part.replace("CERTIFICATE", f'"{good.certificate}"').replace("KEY", f'"{good.key}"')
    top, route, v1 = "", "", 'endpoints: ["https://127.0.0.1:9001"]'
    if not key.startswith("routes"):
        top = part + "\n"
    elif ".versions." not in key:
        route = "    " + part + "\n"
    else:
        v1 = part if "table" in key else f"{v1}, {part}"
    return (
        f"{top}routes:\n  - name: r\n    match: {{path: /}}\n    stable: v2\n{route}    versions:\n"
        f"      v1: {{{v1}}}\n      v2: {{endpoints: [http://127.0.0.1:9002]}}\n"
    )


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl, which makes certificates")
    return Authority(tmp_path_factory.mktemp("named"))


@pytest.fixture(scope="module")
def pair(authority):
    return authority.signed("router")


def described(part, path="", inside=frozenset()):
    """Every key of the policy with what is said of it."""
    if "$ref" in part:
        name = part["$ref"].rsplit("/", 1)[1]
        if name not in inside:
            yield from described(schema()["$defs"][name], path, inside | {name})
        return
    for each in (*part.get("anyOf", ()), *part.get("oneOf", ()), *part.get("allOf", ())):
        yield from described(each, path, inside)
    for name, value in part.get("properties", {}).items():
        key = f"{path}.{name}".lstrip(".")
        yield key, name, value.get("description", "")
        yield from described(value, key, inside)
    if isinstance(part.get("items"), dict):
        yield from described(part["items"], path + "[]", inside)
    for value in (*part.get("patternProperties", {}).values(), part.get("additionalProperties")):
        if isinstance(value, dict):
            yield from described(value, path + "{}", inside)


def test_every_key_that_names_a_file_is_in_the_table():
    speaks = {
        key for key, name, text in described(schema()) if name in NAMES or WORD.search(text)
    }  # fmt: skip
    named = {one.key.replace("routes.*", "routes[]").replace("versions.*", "versions{}")
             for one in NAMED}  # fmt: skip
    assert speaks - named == IS_NO_FILE, "names it a file? then into NAMED with it"
    assert named <= speaks
    assert {one.key for one in NAMED} == set(KEYS), "each has its tests here"


ROWS = pytest.mark.parametrize("named", NAMED, ids=lambda one: one.key)


def told(text, *, serving):
    (problem,) = problems(loads(text), serving=serving)
    return problem


@ROWS
def test_what_is_not_there_is_a_warning_to_check_and_keeps_a_router_from_serving(
    named, tmp_path, pair
):
    text = written(named.key, tmp_path / "none" / "gone", pair)
    checked, served = (told(text, serving=serving) for serving in (False, True))
    assert checked.severity is Severity.WARNING
    assert served.severity is (Severity.ERROR if named.needed else Severity.WARNING)
    assert (served.message, served.mark) == (checked.message, checked.mark)
    assert "none" in checked.message
    assert checked.hint.endswith(named.without)
    line = text.splitlines()[checked.mark.line - 1]
    assert line[checked.mark.column - 1 :].startswith(('"', "sqlite"))
    assert checked.path.endswith(named.key.rsplit(".", 1)[-1])
    if named.needed:
        with pytest.raises(FilesMissing, match="none"):
            servable(loads(text))
    else:
        assert servable(loads(text)).warnings[-1] == checked


@ROWS
def test_a_folder_is_no_file(named, tmp_path, pair):
    for serving in (False, True):
        problem = told(written(named.key, tmp_path, pair), serving=serving)
        assert (problem.severity is Severity.ERROR) == named.needed
        assert re.search("got: Is a directory|got a folder", problem.message)
        assert "make the folder" not in problem.hint


@ROWS
def test_rubbish_is_told_where_the_router_reads_it(named, tmp_path, pair):
    """What a store or a reference file has in it is looked into by who opens it."""
    rubbish = tmp_path / "rubbish"
    rubbish.write_text("rubbish")
    loaded = loads(written(named.key, rubbish, pair))
    found = problems(loaded, serving=False)
    if named.look in (named_files._written, named_files._reference):
        assert not found
    else:
        (problem,) = found
        assert (problem.severity is Severity.ERROR) == named.needed
        assert problem.message.startswith("expected ")
        assert "got none" in problem.message


@ROWS
def test_what_is_there_is_fine(named, tmp_path, pair, authority):
    good = tmp_path / "good"
    if named.look is named_files._table:
        write_table(good, [("a", b"{}")], 1.0)
    elif named.look is named_files._reference:
        good.write_text("age\n1\n")
    elif named.look is not named_files._written:
        name = pair.key if named.look is named_files._key else pair.certificate
        shutil.copy(authority.file if named.key.endswith("ca") else name, good)
    assert not problems(loads(written(named.key, good, pair)), serving=True)


def test_a_key_of_another_certificate(authority, pair):
    other = authority.signed("other")
    text = written("tls.key", other.key, pair)
    assert "got that of another one" in told(text, serving=False).message


def test_a_key_with_a_password(tmp_path, pair):
    """Nobody is there to be asked for it."""
    locked = tmp_path / "locked.key"
    encrypt = ["openssl", "ec", "-in", pair.key, "-aes256", "-passout", "pass:x", "-out", locked]
    subprocess.run(encrypt, check=True, capture_output=True)
    text = written("routes.*.versions.*.tls.key", locked, pair)
    assert "got none, or one with a password" in told(text, serving=False).message


def test_what_somebody_else_may_read_is_a_warning_to_check(monkeypatch):
    def refused(_name, _size):
        raise PermissionError(13, os.strerror(13))

    text = written("routes.*.versions.*.tls.ca", __file__)
    monkeypatch.setattr(named_files, "read_at_most", refused)
    assert told(text, serving=False).severity is Severity.WARNING
    assert told(text, serving=True).severity is Severity.ERROR
    assert told(text, serving=True).message.endswith("got: Permission denied")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    problem = told(written("routes.*.versions.*.tls.ca", tmp_path / "pipe"), serving=False)
    assert "got a device or a pipe" in problem.message


def test_a_router_that_runs_takes_policies_where_the_folder_of_its_store_is_gone(tmp_path):
    """It serves on, and takes traffic back, with a broken store."""
    loaded = loads(written("store", tmp_path / "none" / "r.db"))
    assert "got none" in servable(loaded, begun=True).warnings[-1].message
    with pytest.raises(FilesMissing):
        servable(loaded)


def test_databases_are_no_files():
    text = written("prediction_log.file", "postgresql://log@db/models")
    assert not problems(loads("store: postgresql://rampway@db/rampway\n" + text), serving=True)


def test_check_tells_it_in_the_shell(tmp_path):
    file, ca = tmp_path / "policy.yaml", tmp_path / "ca.pem"
    file.write_text(written("routes.*.versions.*.tls.ca", ca))
    gone, strict = rampway("check", str(file)), rampway("check", str(file), "--strict")
    ca.write_text("rubbish")
    rubbish = rampway("check", str(file))
    where = f"{file}:6:61: %sroutes[0].versions.v1.tls.ca: expected "
    assert where % "warning: " + f"the readable file {ca}, got: No such file" in gone.out
    assert "no router starts without it" in gone.out
    assert where % "" + f"certificates (PEM) in {ca}, got none" in rubbish.out
    assert (gone.code, strict.code, rubbish.code) == (0, 2, 2)


def test_a_watch_sees_a_file_go_and_come(tmp_path, authority):
    file, ca = tmp_path / "policy.yaml", tmp_path / "ca.pem"
    shutil.copy(authority.file, ca)
    file.write_text(written("routes.*.versions.*.tls.ca", ca))
    watch = FileWatch(file)
    assert watch.changed()
    watch.load()
    assert not watch.changed()
    ca.unlink()
    assert watch.changed()
    with pytest.raises(FilesMissing):
        watch.load()
    assert not watch.changed(), "told once"
    shutil.copy(authority.file, ca)
    assert watch.changed()
    assert watch.load().policy == load(file).policy
