"""Another model's name in a body: that value changes, and no other byte."""

import json
import random

import pytest

from router.core.payloads.renamed import renamed

ODD = b'{"a": [1.0, 1e5, -0, {"model": "inner"}], "text": "\\u00e9 \xc3\xa9 \\"model\\": 1"'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model": "a"}', b'{"model": "b"}'),
        (b'{"model" :\n null , "n": 1.50}', b'{"model" :\n "b" , "n": 1.50}'),
        (b'{"model": {"name": ["a", "}"]}, "x": 1}', b'{"model": "b", "x": 1}'),
        (b'{"m\\u006fdel": "a"}', b'{"m\\u006fdel": "b"}'),
        (b'{"model": "a", "model": "c"}', b'{"model": "b", "model": "b"}'),
        (b'{"n": 1}', b'{"model": "b", "n": 1}'),
        (b" {} ", b' {"model": "b"} '),
        (ODD + b', "model": "a"}', ODD + b', "model": "b"}'),
        (b'\xef\xbb\xbf{"model": "a"}', b'{"model": "b"}'),
        (b'{"model": 12345678901234567890123}', b'{"model": "b"}'),
    ],
)
def test_only_the_value_changes(body, expected):
    assert renamed(body, "b") == expected


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'"model"', b'{"model": ', b"\xff{}", b'{"a": ' + b"[" * 99 + b"]" * 99 + b"}"],
)
def test_what_is_no_object_that_can_be_read_stays(body):
    assert renamed(body, "b") is None


def test_a_name_of_any_characters_is_a_text_of_json():
    name = 'a"\\\n\u2028ü'
    assert json.loads(renamed(b'{"model": 1}', name)) == {"model": name}


@pytest.mark.parametrize("seed", range(30))
def test_whatever_the_body_only_the_name_is_another(seed):
    """Bodies drawn at random, spelled as other writers spell them."""
    draw = random.Random(seed)

    def value(depth):
        kind = draw.randrange(6 if depth else 4)
        if kind == 0:
            return draw.choice([None, True, False, 0, -1.5, 1e300])
        if kind < 4:
            return "".join(draw.choices('model"\\{}[],:é \n', k=draw.randrange(9)))
        if kind == 4:
            return [value(depth - 1) for _ in range(draw.randrange(4))]
        names = [str(value(0)) if draw.random() < 0.5 else "model" for _ in range(3)]
        return {name: value(depth - 1) for name in names}

    body = {str(value(0)): value(3) for _ in range(draw.randrange(6))}
    if draw.random() < 0.7:
        body["model"] = value(2)
    text = json.dumps(body, indent=draw.choice([None, 2]), ensure_ascii=draw.random() < 0.5)
    assert json.loads(renamed(text.encode(), "b")) == {**body, "model": "b"}
