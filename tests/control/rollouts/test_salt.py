"""The salt of sticky keys: made once, kept, and nobody changes versions because of an upgrade."""

from __future__ import annotations

import pytest

from router.control.rollouts.salt import Salt
from router.control.state import layout
from router.core.rollout import events


@pytest.fixture
def sticky(policy):
    def text(salt="", **fields):
        more = f", salt: {salt}" if salt else ""
        line = f"    sticky: {{header: X-User{more}}}\n    versions:"
        return policy(**fields).replace("    versions:", line, 1)

    return text


async def test_it_is_made_once_and_kept_in_the_store(world, sticky):
    w = await world(sticky()).start()
    salt = w.entry.sticky.salt
    assert len(salt) == 32
    await w.run(5)
    await w.start()
    assert w.entry.sticky.salt == salt
    await w.edit(sticky(candidate="v3"))
    assert w.entry.sticky.salt == salt
    other = await world(sticky()).start()
    assert other.entry.sticky.salt != salt


async def test_what_the_policy_says_comes_first(world, sticky):
    w = await world(sticky("none")).start()
    assert w.entry.sticky.salt == ""
    await w.edit(sticky("a-secret-of-the-whole-fleet"))
    assert w.entry.sticky.salt == "a-secret-of-the-whole-fleet"


async def test_a_running_rollout_keeps_its_hash_at_the_upgrade(world, sticky):
    w = await world(sticky()).start()
    assert w.entry.candidate >= 0
    del w.disk.settings["salt"]  # a store of the version before
    await w.start()
    assert w.entry.sticky.salt == ""
    await w.start()
    assert w.entry.sticky.salt == "", "and at the next start"
    await w.order(events.Abort("ops", "enough"))
    await w.edit(sticky(candidate="v3"))
    assert w.entry.candidate >= 0
    assert len(w.entry.sticky.salt) == 32, "the next one has a salt"


@pytest.mark.parametrize("setting", [{}, {"text": "short", "unsalted": []}, {"text": "x" * 32}])
def test_a_damaged_one_is_told(setting):
    with pytest.raises(ValueError, match=r"setting|length"):
        Salt.restored(layout.settings_of({"salt": setting}).salt)
