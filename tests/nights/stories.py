"""Small nights that once failed, spelled out: other draws leave them as they are.

`python -m tests.nights --seed N --keep A,B --story` prints one.
"""

from __future__ import annotations

from dataclasses import fields

from tests.nights.night import Setup


def at(time_s, kind, **details):
    """An event of a story."""
    return time_s, kind, details


def story(about, base, horizon_s, *events, rate=6.0, clients=2, users=0, impatience=0.3, split=0.0,
          kernel=212_992, **more):  # fmt: skip
    """What it is about, and its night."""
    return about, Setup(base, horizon_s, rate, clients, users, impatience, split, kernel,
                        events=events, **more)  # fmt: skip


def written(seed, made):
    """A night as an entry of :data:`STORIES`."""
    shown = [f"at({', '.join([repr(s), repr(k), *_named(d)])})" for s, k, d in made.events]
    plain = {f.name: getattr(made, f.name) for f in fields(made) if f.name != "events"}
    base, horizon_s = plain.pop("base"), plain.pop("horizon_s")
    told = ", ".join([repr("about"), str(base), str(horizon_s), *shown, *_named(plain)])
    return f"{seed}: story({told}),"


def _named(details):
    return [f"{name}={value!r}" for name, value in details.items()]


# fmt: off
STORIES = {
    16: story("a candidate that hooks took back, orders in a burst, a retry", 83, 14.0,
        at(1.1585274425860685, "outside", manner="broken"),
        at(2.353572912361582, "reload", force=True, way="order"),
        at(3.561168249824668, "burst", route="a", names=["weight", "promote", "resume"], number=89),
        at(4.155558421489346, "order", route="a", name="retry", number=205, way="plain"),
        rate=2.0, users=40, impatience=0.02, split=0.1, bad=(9202, 0.05), manner="mixed",
        full_recording=0.01),
    54: story("a worker that took back alone gets an amendment before the whole table", 3, 6.0,
        at(1.0692602286142, "stuck_disk", for_s=5.0),
        at(2.8281548447534237, "stop", who="control", number=3, for_s=6.5),
        clients=4, users=40, manner="mixed"),
    87: story("a rollback that returns in steps overtakes a step up that is being written", 88, 6.0,
        at(5.135456537348649, "burst", route="b", names=["promote", "rollback"], number=931),
        rate=2.0, impatience=0.02, split=0.6, kernel=4096, bad=(9102, 1.0), full_recording=0.01),
    243: story("the last member of a group is ready while the disk is stuck", 79, 14.0,
        at(5.4387556544420335, "stuck_disk", for_s=14.0),
        users=40, kernel=4096),
    317: story("killed with an edit that does not fit: starts that are refused, then one", 85, 14.0,
        at(3.1681188683765718, "turn", port=9102, rate=0.4, manners=["slow"], for_s=2.0),
        at(4.835460490899611, "rename", old="v2", new="v7"),
        at(6.9674099717743445, "restore"),
        at(10.201024114034965, "kill", who="control", number=2, after=16),
        rate=10.0, clients=4, split=0.6, manner="no", full_recording=0.01),
    525: story("blame that waits for its instance when its rollout ends", 74, 14.0,
        at(0.81597575963666, "burst", route="b", names=["abort", "promote"], number=479),
        at(1.0758721496474977, "clock", step_s=30.0),
        at(8.01317212573368, "order", route="a", name="instant", number=294, way="plain"),
        clients=4, users=40, impatience=0.02, bad=(9102, 1.0)),
    656: story("a way back overtakes an order that is being written", 95, 14.0,
        at(0.8519661989593441, "edit", numbers=[90]),
        at(5.988147836432839, "burst", route="a", names=["promote", "rollback", "rollback"],
           number=913),
        clients=4, impatience=0.0),
    724: story("a retry that a router writes in its last moment, before it hands over", 16, 4.0,
        at(2.658554835265421, "burst", route="b", names=["force", "to"], number=321),
        at(2.6741440019085987, "hand_over", late_s=0.5),
        at(3.1962008906415202, "burst", route="a", names=["retry", "to", "full"], number=355),
        rate=2.0, clients=4, impatience=0.02, split=0.1, full_recording=0.01),
    828: story("an edit makes a route sticky while its trial counts requests", 57, 14.0,
        at(0.6157991740970357, "order", route="a", name="promote", number=670, way="revision"),
        at(4.15457339713117, "edit", numbers=[50, 36]),
        rate=2.0, impatience=0.0, split=0.1, kernel=4096, full_recording=0.01),
    2525: story("a successor is told to stop while it waits, then the old one is killed", 9, 4.0,
        at(2.632810722991736, "hand_over", late_s=0.5),
        at(2.9394638964743245, "terminate", number=1, for_s=1.0),
        at(3.038467023206612, "kill", who="control", number=0, after=15),
        clients=4, split=0.6, kernel=4096),
    220: story("one arm of an experiment gets more although all together get less", 154, 8.0,
        at(0.6118, "freeze", frozen=False, route="", lasting=None),
        at(2.6643762359845224, "label", number=7),
        rate=10.0, users=40, impatience=0.02, split=0.1, bad=(9101, 1.0)),
    741: story("a disk takes a step late, and meanwhile sticky was edited", 24, 6.0,
        at(4.310498380686882, "disk", fault="late_error", rate=1.0, for_s=8.0),
        at(5.84085913201569, "edit", numbers=[49]),
        rate=10.0, users=40, kernel=4096),
    4136: story("an order that failed is on the disk all the same", 51, 14.0,
        at(7.002627030801764, "disk", fault="late_error", rate=1.0, for_s=3.0),
        at(9.829295147260526, "burst", route="b", names=["lift", "pause", "pause"], number=258),
        rate=2.0, impatience=0.0, split=0.1, bad=(9101, 0.05), manner="slow"),
    5342: story("a model goes back to one that was taken back, in mid-rollout", 114, 8.0,
        at(1.1008954031385274, "order", route="a", name="to", number=110, way="key"),
        at(2.931700527051704, "edit", numbers=[73]),
        at(5.381047476054531, "rename", old="v2", new="v7"),
        rate=2.0, clients=4, users=40, impatience=0.02, split=0.6, kernel=4096, bad=(9101, 0.05),
        manner="mixed"),
    27: story("what is written again waits for the disk without turning", 60, 8.0,
        at(1.2238000783243737, "disk", fault="io", rate=1.0, for_s=8.0),
        at(7.489700557847988, "order", route="b", name="retry", number=478, way="plain"),
        rate=10.0, users=5, impatience=0.02, split=0.6),
    1334: story("a label that is no evidence, then the reader is killed", 309, 3.0,
        at(0.6493107481675611, "label", number=280, fact="correct", by="b", row=0, again=False),
        at(1.5814320871517549, "log_kill"),
        clients=4, users=40, impatience=0.02, kernel=4096, bad=(9102, 1.0)),
    13812: story("an order to a router that has let go of its store for a successor", 265, 8.0,
        at(4.002045647792664, "hand_over", late_s=1.5),
        at(4.594871318692023, "away", for_s=1.5),
        at(5.522081172095957, "order", route="b", name="instant", number=152, way="key"),
        rate=10.0, users=40, impatience=0.02, bad=(9102, 0.3)),
    5834: story("what an edit owes meets a disk that fails now and then", 138, 8.0,
        at(1.0886312843600072, "disk", fault="io", rate=0.2, for_s=8.0),
        at(2.682864822161765, "edit", numbers=[157]),
        at(4.483425193927371, "terminate", number=1, for_s=0.0),
        at(5.3330593900040295, "rename_route", said=False),
        at(6.093941056035547, "reload", force=False, way="signal"),
        rate=10.0, clients=4, users=5, impatience=0.0, split=0.1, kernel=4096),
    4858: story("what an edit owes meets a machine without memory", 374, 8.0,
        at(0.7035595854124511, "disk", fault="wrong", rate=1.0, for_s=8.0),
        at(3.308568018686831, "rename_route", said=False),
        rate=10.0, clients=2, users=40, impatience=0.0, split=0.6, kernel=212992,
        bad=(9101, 0.05)),
    6224: story("a rollback that a failing disk has not taken, a successor that waits", 115, 3.0,
        at(1.3219424790723675, "hand_over", late_s=1.5),
        at(2.3915574799470707, "disk", fault="wrong", rate=1.0, for_s=0.5),
        clients=4, bad=(9102, 1.0)),
    6245: story("a start that failed is on the disk, above a rollback that is owed", 29, 3.0,
        at(1.682169454560848, "edit", numbers=[10]),
        at(1.8021175856334928, "disk", fault="late_error", rate=1.0, for_s=3.0),
        at(1.8351465073055397, "burst", route="b", names=["instant", "full"], number=168),
        rate=2.0, clients=4, bad=(9102, 0.3), manner="slow"),
    462: story("a sample is read, and behind it what only the log wants", 315, 8.0,
        rate=2.0, clients=4, users=5, impatience=0.0, kernel=4096, bad=(9102, 0.3)),
    3113: story("a route that is new in a freeze", 115, 2.0,
        at(0.6786815271740286, "rename", old="v2", new="v7"),
        at(1.6038309125919752, "rename_route", said=False),
        at(1.8350141760010228, "freeze", frozen=True, route="", lasting=None),
        rate=10.0, clients=4, users=5, bad=(9102, 1.0), manner="mixed"),
    4304: story("a cost gate beyond its limit before the candidate of a retry is ready", 339, 3.0,
        at(1.5827584981207845, "kill", who="control", number=3, after=48),
        at(1.6082898628666817, "burst", route="b", names=["retry", "pause", "retry"], number=747),
        users=40, impatience=0.0, bad=(9202, 0.05), manner="yes", full_recording=0.0, narrow=True),
    4636: story("a retry that no disk has yet is taken back, by a policy that returns in steps",
        351, 8.0,
        at(6.879217455582271, "burst", route="b", names=["retry", "rollback"], number=48),
        rate=2.0, clients=4, users=5, impatience=0.02, bad=(9101, 1.0), manner="slow",
        full_recording=0.01, narrow=True),
}
# fmt: on
"""Seed -> (what it is about, its night)."""
