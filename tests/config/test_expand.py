"""Values from the environment and from files."""

import pytest

from router.config import PolicyError, load, loads

POLICY = """listen: {listen}
routes:
  - name: r
    versions: {{v1: {{endpoints: [{endpoint}]}}}}
    stable: v1
"""


def made(listen="127.0.0.1:1", endpoint="http://127.0.0.1:9001"):
    return POLICY.format(listen=listen, endpoint=endpoint)


@pytest.mark.parametrize(
    ("written", "environment", "listen"),
    [
        ("${LISTEN}", {"LISTEN": "127.0.0.1:5"}, "127.0.0.1:5"),
        ("${LISTEN:-127.0.0.1:6}", {}, "127.0.0.1:6"),
        ("${LISTEN:-127.0.0.1:6}", {"LISTEN": ""}, "127.0.0.1:6"),
        ("127.0.0.1:${PORT}", {"PORT": "7"}, "127.0.0.1:7"),
        ("${HOST}:${PORT:-8}", {"HOST": "127.0.0.1"}, "127.0.0.1:8"),
    ],
)
def test_environment(written, environment, listen):
    assert loads(made(written), environment=environment).policy.listen == listen


def test_an_unquoted_number_is_a_number_after_expansion():
    assert loads("workers: ${N}\n" + made(), environment={"N": "3"}).policy.workers == 3


def test_a_value_can_never_add_keys():
    evil = {"LISTEN": "127.0.0.1:1\nworkers: 64"}

    with pytest.raises(PolicyError) as caught:
        loads(made("${LISTEN}"), environment=evil)

    (problem,) = caught.value.problems
    assert problem.path == "listen"


def test_files_are_relative_to_the_policy(tmp_path):
    (tmp_path / "listen").write_text("127.0.0.1:9\n")
    policy = tmp_path / "policy.yaml"
    policy.write_text(made('"${file:listen}"'))

    assert load(policy, {}).policy.listen == "127.0.0.1:9"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("${NOPE}", "expected the environment variable NOPE, got nothing"),
        ("${not a name}", "expected a variable name in ${not a name}, got 'not a name'"),
        ("${}", "expected a variable name in ${}, got ''"),
        ("${file:/does/not/exist}", "expected the readable file /does/not/exist"),
        ("${file:a\\0b}", "expected text without NUL characters, got one"),
        ("a\\0b", "expected text without NUL characters, got one"),
        ("${file:/dev/zero}", "expected a file of at most 65,536 bytes, got more"),
    ],
)
def test_what_cannot_be_expanded_is_a_problem_at_its_place(written, said):
    with pytest.raises(PolicyError) as caught:
        loads(made(f'"{written}"'), environment={})

    (problem,) = caught.value.problems
    assert said in problem.message
    assert (problem.mark.line, problem.mark.column) == (1, 9)


def test_all_that_cannot_be_expanded_is_said_at_once():
    with pytest.raises(PolicyError) as caught:
        loads(made('"${A}"', '"${B}"'), environment={})

    assert len(caught.value.problems) == 2


def test_what_came_from_elsewhere_is_never_shown():
    with pytest.raises(PolicyError) as caught:
        loads(made('"${SECRET}"'), environment={"SECRET": "s3cr3t-value"})

    assert "s3cr3t" not in str(caught.value)
    assert "got what ${SECRET} stands for" in str(caught.value)


def test_two_dollars_are_a_literal():
    text = made() + "    match: {headers: {X-A: '$${literal}'}}\n"

    (route,) = loads(text, environment={}).policy.routes

    assert route.match.headers["X-A"].exact == "${literal}"
