"""What Envoy took, what it refused, and what then goes on."""

from dataclasses import replace

from router.agent.offers import Offers, Resource, Say
from router.agent.tables import TableOffers, lowered
from router.core.wire.endpoint import EndpointEntry
from router.core.wire.table import (
    MatchEntry,
    RouteEntry,
    RoutingTable,
    StickyEntry,
    StickyKind,
    VersionEntry,
)

ENTRY = RouteEntry(
    "score", MatchEntry(),
    tuple(VersionEntry(name, (EndpointEntry("127.0.0.1", 1),)) for name in ("v1", "v2")),
    0, 1, weights_bp=(5_000, 5_000),
)  # fmt: skip


class Envoy:
    """Asks like Envoy does; takes everything but what it is told to refuse."""

    def __init__(self, tables):
        self.tables = tables
        self.has = dict.fromkeys(Resource, "")
        self.refuses = set()

    def ask_all(self):
        for _ in range(4):
            for kind in Resource:
                offer = self.tables.offers.of[kind]
                while offer.asked(self.has[kind]) is Say.NOW and kind not in self.refuses:
                    self.has[kind] = offer.version
                self.tables.advance()


def made(*entries, generation=1):
    tables = TableOffers(Offers("boot"), ("127.0.0.1", 80))
    envoy = Envoy(tables)
    tables.put(RoutingTable(generation, entries or (ENTRY,)))
    return tables, envoy


def shares(tables):
    (configuration,) = tables.offers.of[Resource.ROUTES].resources
    action = configuration["virtual_hosts"][-1]["routes"][-1]["route"]
    if "cluster" in action:
        return {action["cluster"]: 10_000}
    return {one["name"]: one["weight"] for one in action["weighted_clusters"]["clusters"]}


def test_routes_come_behind_the_clusters_that_they_name():
    tables, envoy = made()
    assert not tables.offers.of[Resource.ROUTES].number
    envoy.ask_all()
    assert tables.good.generation == 1
    assert tables.offers.settled


def test_a_step_offers_routes_alone():
    tables, envoy = made()
    envoy.ask_all()
    before = tables.offers.numbers
    tables.put(RoutingTable(2, (replace(ENTRY, weights_bp=(0, 10_000)),)))
    envoy.ask_all()
    assert [b - a for a, b in zip(before, tables.offers.numbers, strict=True)] == [0, 0, 1]
    assert tables.good.generation == 2


def test_an_answer_that_was_lost_is_given_again_and_a_refusal_is_known():
    tables, _ = made()
    offer = tables.offers.of[Resource.CLUSTERS]
    assert [offer.asked("") for _ in range(3)] == [Say.NOW, Say.NOW, Say.LATER]
    assert offer.is_refused
    assert tables.offers.refused is Resource.CLUSTERS


def test_clusters_in_force_stay_until_others_are_routed_to():
    tables, envoy = made()
    envoy.ask_all()
    other = VersionEntry("v9", (EndpointEntry("127.0.0.1", 9),))
    tables.put(RoutingTable(2, (replace(ENTRY, versions=(ENTRY.versions[0], other)),)))
    names = {one["name"] for one in tables.offers.of[Resource.CLUSTERS].resources}
    assert {"score/v2/http", "score/v9/http"} <= names


def test_a_refused_table_leaves_the_good_one_but_not_what_is_taken_back():
    tables, envoy = made()
    envoy.ask_all()
    envoy.refuses.add(Resource.CLUSTERS)
    moved = replace(ENTRY.versions[0], connections=9)
    tables.put(RoutingTable(2, (replace(
        ENTRY, versions=(moved, ENTRY.versions[1]), weights_bp=(10_000, 0)
    ),)))  # fmt: skip
    envoy.ask_all()
    assert tables.offers.refused is Resource.CLUSTERS
    assert tables.good.generation == 1
    assert shares(tables) == {"score/v1/http": 10_000}


def marks(tables):
    (configuration,) = tables.offers.of[Resource.ROUTES].resources
    told = [one["metadata"]["filter_metadata"]["rampway"]
            for one in configuration["virtual_hosts"][-1]["routes"]]  # fmt: skip
    return {(one["route"], one["mark"], one["weight"]) for one in told}


def test_no_two_tables_mark_alike_what_they_changed_whoever_leads():
    tables, envoy = made()
    seen = set()
    for term, generation, bp in ((1, 2, 1_000), (2, 1, 1_000), (2, 2, 3_000), (3, 2, 4_000)):
        entry = replace(ENTRY, weights_bp=(10_000 - bp, bp))
        tables.put(RoutingTable(generation, (entry,), term=term))
        envoy.ask_all()
        seen |= marks(tables)
    assert sorted(weight for _, _, weight in seen) == [1_000, 3_000, 4_000]
    assert len({mark for _, mark, _ in seen}) == 3


def test_while_a_table_is_refused_what_stays_counts_as_it_was_and_what_goes_as_wanted():
    other = replace(ENTRY, name="other")
    tables, envoy = made(ENTRY, other)
    envoy.ask_all()
    ((_, mark, _),) = {one for one in marks(tables) if one[0] == "other"}
    envoy.refuses.add(Resource.CLUSTERS)
    versions = (replace(ENTRY.versions[0], connections=9), ENTRY.versions[1])
    less = replace(ENTRY, versions=versions, weights_bp=(9_000, 1_000))
    more = replace(other, versions=versions, weights_bp=(1_000, 9_000))
    (_, wanted), _ = tables.put(RoutingTable(2, (less, more)))
    envoy.ask_all()
    assert wanted == less
    assert marks(tables) == {("score", "boot.2", 1_000), ("other", mark, 5_000)}


def test_what_a_refused_table_adds_is_not_there():
    good = RoutingTable(1, (ENTRY,))
    more = RoutingTable(2, (replace(ENTRY, weights_bp=(1_000, 9_000)),))
    assert lowered(good, more) == [ENTRY]
    assert lowered(good, RoutingTable(2, ())) == [ENTRY]
    other = replace(ENTRY, candidate=-1, weights_bp=(10_000, 0))
    assert lowered(good, RoutingTable(2, (other,)))[0].weights_bp == (10_000, 0)


def test_an_envoy_that_begins_is_offered_everything_anew():
    tables, envoy = made()
    envoy.ask_all()
    tables.offers.lost()
    assert not tables.offers.settled
    envoy.has = dict.fromkeys(Resource, "")
    envoy.ask_all()
    assert tables.offers.settled


def test_a_new_key_to_go_by_is_another_listener():
    tables, envoy = made()
    envoy.ask_all()
    sticky = replace(ENTRY, sticky=StickyEntry(StickyKind.HEADER, "x-user-id"))
    tables.put(RoutingTable(2, (sticky,)))
    assert tables.offers.of[Resource.LISTENERS].number == 2
