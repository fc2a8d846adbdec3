"""What a judge is asked."""

import json

from router.core.judging.question import JudgeAsked, Told

TOLD = Told('{"ask":"why?"}', '{"a":"{second}"}', '{"a":"{first} and {question}"}')


def test_a_service_gets_three_values():
    body = json.loads(JudgeAsked(None).body(TOLD, stable_first=False))
    assert body == {
        "question": {"ask": "why?"},
        "first": {"a": "{first} and {question}"},
        "second": {"a": "{second}"},
    }
    assert json.loads(JudgeAsked(None).body(TOLD, stable_first=True))["first"] == {"a": "{second}"}


def test_places_of_a_prompt_are_filled_once():
    asked = json.loads(JudgeAsked("m", "{first}|{second}|{third}").body(TOLD, stable_first=True))
    assert asked == {
        "model": "m",
        "messages": [
            {"role": "user", "content": f"{TOLD.stable}|{TOLD.candidate}|{{third}}"}
        ],
    }  # fmt: skip


def test_the_router_s_own_prompt_has_all_of_it():
    text = json.loads(JudgeAsked("m").body(TOLD, stable_first=True))["messages"][0]["content"]
    assert all(part in text for part in TOLD)
    assert '{"better": "first"}' in text
