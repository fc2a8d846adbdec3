"""The document that describes the interface: anybody may ask for it as often as he likes."""

import threading

from router.admin import openapi, routes


async def test_it_is_made_once_and_not_in_the_turn_of_the_decider(monkeypatch):
    made = []

    def document(_operations):
        made.append(threading.current_thread())
        return {"openapi": "3.1.0"}

    monkeypatch.setattr(openapi, "document", document)
    routes._document.cache_clear()
    answers = [await routes._openapi(None) for _ in range(3)]
    routes._document.cache_clear()
    assert [answer.status for answer in answers] == [200] * 3
    assert len(made) == 1
    assert made[0] is not threading.main_thread()
