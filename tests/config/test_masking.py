"""What a page shows of a policy has no secret in it, however the file is written or broken."""

from __future__ import annotations

import pytest

from router.config.masking import without_secrets

SECRETS = [
    "token: s3cret",
    "- {name: ops, role: admin, token: s3cret}",
    '- {token: "s3cret", role: admin}',
    "  'secret': 's3cret'",
    "url: https://hooks.example/s3cret",
    "headers: {Authorization: Bearer s3cret}",
    "headers:\n  Authorization: Bearer s3cret\n  X-Api-Key: s3cret",
    "- headers:\n    Authorization: >\n      Bearer s3cret\n",
    "salt: |\n  s3cret\n  s3cret\nworkers: 1",
    "token:\n  s3cret",
    "password: s3cret",
    "token: a{s3cret",
    "token: a, s3cret",
    "token: ${TOKEN:-s3cret}",
    "token: s3cret }{ broken: [",
    "store: postgresql://ann:s3cret@db/models",
    "store: postgresql:///models?host=/run&password=s3cret&user=ann",
    '  file: "postgres://:s3cret@db:5432/models"',
]


@pytest.mark.parametrize("text", SECRETS)
def test_no_secret_is_shown(text):
    shown = without_secrets(text)
    assert "s3cret" not in shown
    assert shown.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    "text",
    [
        'routes:\n- name: prices\n  versions: {v1: "http://127.0.0.1:9001"}\n',
        "token: ${TOKEN}\n",
        'secret: "${file:/run/secrets/x}"\n',
        "headers:\n  Authorization: ${AUTH}\nworkers: 2\n",
        "store: postgresql://ann:${PASSWORD}@db:5432/models?sslmode=require\n",
        'endpoints: ["http://127.0.0.1:9001", "http://b:80"]\n',
    ],
)
def test_everything_else_is_shown_as_it_is(text):
    assert without_secrets(text) == text
