"""Five mistakes on the first day: each is told with its remedy, and the remedy works."""

import re

import pytest

from tests.newcomer.conftest import TYPED_S_MAX, typed, until_listening

pytestmark = [pytest.mark.newcomer, pytest.mark.timeout(TYPED_S_MAX + 60)]

SERVICES = f"""
set -e
. venv/bin/activate
rm -f rampway.yaml rampway.db*
uvicorn model:app --port 9001 --log-level warning &
uvicorn model:app --port 9002 --log-level warning &
{until_listening(9001)}
{until_listening(9002)}
set +e
rampway init http://127.0.0.1:9001 http://127.0.0.1:9002
ask() {{ curl -s -o answer -w '%{{http_code}}\\n' http://127.0.0.1:8080/predict \\
  -H 'Content-Type: application/json' -d '{{"distance": 100, "hour": 8}}'; }}
"""
END = "\nkill $(jobs -p); wait\n"


def tried(newcomer, text):
    """What a day prints that begins with two services and a policy."""
    out, _ = typed(SERVICES + text + END, newcomer[0])
    return out


def test_a_wrong_port_is_found_by_doctor_and_mended_in_the_policy(newcomer):
    out = tried(
        newcomer,
        """sed -i s/9002/9009/ rampway.yaml
        rampway doctor rampway.yaml; echo "before $?"
        sed -i s/9009/9002/ rampway.yaml
        rampway doctor rampway.yaml; echo "after $?"
        """,
    )

    assert re.search(r"FAIL +model v2 +http://127.0.0.1:9009 Connection refused", out)
    assert "before 1" in out
    assert "after 0" in out


def test_a_typo_is_told_with_the_word_that_was_meant(newcomer):
    out = tried(
        newcomer,
        r"""sed -i 's/stable: v1/stabel: v1/' rampway.yaml
        rampway serve rampway.yaml; echo "before $?"
        meant=$(rampway check rampway.yaml | sed -n 's/.*did you mean \(.*\)?/\1/p')
        sed -i "s/stabel/$meant/" rampway.yaml
        rampway check rampway.yaml; echo "after $?"
        """,
    )

    assert "did you mean stable?" in out
    assert "before 2" in out
    assert "after 0" in out


def test_a_port_that_is_taken_is_named_with_its_key(newcomer):
    out = tried(
        newcomer,
        f"""python3 -m http.server 8080 --bind 127.0.0.1 2> /dev/null &
        {until_listening(8080)}
        rampway serve rampway.yaml 2> first.log; echo "before $?"
        tail -n 1 first.log
        sed -i 's/^listen: 127.0.0.1:8080/listen: 127.0.0.1:8090/' rampway.yaml
        rampway serve rampway.yaml 2> router.log &
        curl -s --retry 60 --retry-connrefused --retry-delay 1 \\
          http://127.0.0.1:8090/predict -H 'Content-Type: application/json' \\
          -d '{{"distance": 100, "hour": 8}}'
        """,
    )

    assert "before 1" in out
    assert "rampway: listen: 127.0.0.1:8080 is in use by another program; stop that one" in out
    assert '{"minutes":6.0}' in out


def test_a_version_that_is_down_stands_at_its_start_and_begins_by_itself_when_it_is_up(newcomer):
    out = tried(
        newcomer,
        f"""sed -i 's/hold: 10m/hold: 1s/; s/samples: 200/samples: 70/' rampway.yaml
        kill %2
        rampway serve rampway.yaml 2> router.log &
        {until_listening(8080)}
        for i in $(seq 100); do ask; done | sort | uniq -c
        until rampway get | grep -q 'refused'; do sleep 0.2; done
        rampway get; echo ---
        uvicorn model:app --port 9002 --log-level warning &
        until rampway get | grep -q 'v2 is ready'; do sleep 0.2; done
        for i in $(seq 200); do ask; done | sort | uniq -c
        until rampway get | grep -q 'step [234] of 4'; do ask > /dev/null; sleep 0.1; done
        rampway get
        """,
    )

    down, _, up = out.partition("---")
    assert re.search(r"^ *100 200$", down, re.MULTILINE)
    assert "v2 is not ready: connection refused" in down
    assert re.search(r"^ *200 200$", up, re.MULTILINE)
    assert re.search(r"step [234] of 4", up)


def test_a_missing_token_is_told_with_where_to_put_it(newcomer):
    out = tried(
        newcomer,
        f"""token='{{name: me, role: admin, token: "a-secret-of-mine"}}'
        sed -i "s/^admin: {{/admin: {{tokens: [$token], /" rampway.yaml
        rampway serve rampway.yaml 2> router.log &
        {until_listening(8080)}
        rampway get > /dev/null; echo "before $?"
        export RAMPWAY_TOKEN=a-secret-of-mine
        rampway get > /dev/null; echo "after $?"
        """,
    )

    assert "set RAMPWAY_TOKEN or give --token-file" in out
    assert "before 7" in out
    assert "after 0" in out
