"""A log that the next leader cannot read is remarked on."""

import pytest

from router.config import loads

POLICY = """store: {store}
{log}
routes:
  - name: r
    payload: v1
    versions: {{v1: {{endpoints: [http://127.0.0.1:9001]}}}}
    stable: v1
    {kept}
"""
DATABASE = "postgresql://rampway@db/rampway"


def remarks(store, log="", kept="log: {}"):
    loaded = loads(POLICY.format(store=store, log=log, kept=kept))
    return [one.headline() for one in loaded.warnings if "file of one machine" in one.message]


def test_a_file_beside_a_database_is_no_log_of_several_routers():
    log = "prediction_log: {file: /var/log.db}"
    (said,) = remarks(DATABASE, log)
    assert ":2:" in said
    assert "the log /var/log.db is a file of one machine" in said
    assert len(remarks(DATABASE)) == 1, "nor is the one that nobody has named"


@pytest.mark.parametrize(
    "about",
    [
        ("sqlite:///r.db",),
        (DATABASE, "prediction_log: {file: postgresql://log@db/models}"),
        (DATABASE, "", ""),
    ],
)
def test_where_nothing_is_lost_nothing_is_said(about):
    assert not remarks(*about)
