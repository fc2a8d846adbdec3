"""What every table behind the prediction log does: the same tests for each of them.

Whoever inherits has a fixture ``opened``: ``opened(early_max=...)`` is a book over the same rows.
"""

import random
from dataclasses import replace

import pytest

from router.core.logged.prediction import LoggedPrediction
from router.core.logged.truth import Judged, Matured, MaturedRow, Truth
from router.reader.book import Taken

ROW = LoggedPrediction(
    1000.0, "id-0", 0, 1, "flights", "v1", "stable", 0.2, "", '{"delay": 3}',
    1.0, 0.9, 0.01, 200, "",
)  # fmt: skip


def row(request_id, **changes):
    return replace(ROW, request_id=request_id, **changes)


class BookContract:
    """See the module."""

    labels = 3_000
    """Of the test of any order; a million: `python -m tests.log.million`."""

    @pytest.fixture
    def book(self, opened):
        book = opened()
        yield book
        book.close()

    def test_a_truth_meets_its_prediction_whichever_comes_first(self, book):
        book.write([row("a")], 1000.0)
        received = book.receive([Truth("a", label=True), Truth("b", label=2.5)], 1010.0)
        assert received.taken == [Taken.JOINED, Taken.WAITING]
        (meeting,) = received.meetings
        assert (meeting.fresh.label, meeting.fresh.time, meeting.said[0].version) == (
            True,
            1010.0,
            "v1",
        )
        (late,) = book.write([row("b", prediction=2.0)], 1011.0)
        assert (late.fresh.label, late.said[0].prediction, late.said[0].request_id) == (
            2.5,
            2.0,
            "b",
        )
        assert book.counts().waiting == 0

    def test_each_fact_counts_once_also_after_a_restart(self, book, opened):
        book.write([row("a")], 1000.0)
        assert book.receive([Truth("a", label=1.0), Truth("a", label=0.0)], 1001.0).taken == [
            Taken.JOINED, Taken.DUPLICATE,
        ]  # fmt: skip
        book.close()
        again = opened()
        assert again.receive([Truth("a", label=0.0)], 1002.0).taken == [Taken.DUPLICATE]
        (more,) = again.receive([Truth("a", label=0.0, value=12.5)], 1003.0).meetings
        assert (more.fresh.label, more.fresh.value) == (None, 12.5)
        assert again.receive([Truth("a", value=12.5)], 1004.0).taken == [Taken.DUPLICATE]
        again.close()

    def test_a_receipt_is_the_same_as_its_request_in_either_order(self, book):
        by_receipt = Truth(receipt="00ff", label=True)
        book.write([row("a", receipt="00ff")], 1000.0)
        assert book.receive([by_receipt], 1001.0).taken == [Taken.JOINED]
        assert book.receive([Truth("a", label=True)], 1001.0).taken == [Taken.DUPLICATE]
        assert book.receive([Truth(receipt="0bee", label=True)], 1001.0).taken == [Taken.WAITING]
        assert book.receive([Truth("b", label=False)], 1001.0).taken == [Taken.WAITING]
        (meeting,) = book.write([row("b", receipt="0bee")], 1002.0)
        assert meeting.fresh.label is False  # it was told by its id as well, and there first
        assert book.counts().waiting == 0

    def test_a_copy_that_comes_after_the_truth_still_makes_a_pair(self, book):
        book.write([row("a")], 1000.0)
        book.receive([Truth("a", label=True)], 1001.0)
        (pair,) = book.write([row("a", version="v2", role="shadow", prediction=0.0)], 1002.0)
        assert [one.version for one in pair.said] == ["v1", "v2"]
        assert [one.id > pair.after for one in pair.said] == [False, True]

    def test_predictions_that_are_not_mature_hold_their_truth(self, book):
        book.mature_s = {"flights": 3600.0}
        book.write([row("a")], 1000.0)
        assert book.receive([Truth("a", label=True)], 1100.0).meetings == []
        assert book.release(4500.0) == []
        (meeting,) = book.release(4600.0)
        assert meeting.fresh.label is True
        assert book.release(9999.0) == []

    def test_what_waits_is_bounded_by_age_and_by_number(self, opened):
        book = opened(early_max=3)
        book.receive([Truth(f"id-{n}", label=True) for n in range(5)], 1000.0)
        assert len(book.prune(before=0.0, bytes_max=10**9, early_before=900.0)) == 2
        assert book.counts().waiting == 3
        assert len(book.prune(before=0.0, bytes_max=10**9, early_before=1001.0)) == 3
        assert book.counts().truths == 0
        book.close()

    def test_labels_in_any_order_are_all_joined_right(self, opened):
        """A small one of done-when 1; the million is in `make test-log`."""
        rng, count = random.Random(11), self.labels
        met = {}
        events = [("p", n) for n in range(count)] + [("t", n) for n in range(count)]
        events += [("t", n) for n in rng.sample(range(count), count // 10)]
        rng.shuffle(events)
        book = opened()
        for at in range(0, len(events), 100):
            if rng.random() < 0.1:
                book.close()
                book = opened()
            part = events[at : at + 100]
            new = [row(f"id-{n}", prediction=float(n)) for kind, n in part if kind == "p"]
            told = [Truth(f"id-{n}", label=float(n)) for kind, n in part if kind == "t"]
            for meeting in [*book.write(new, 0.0), *book.receive(told, 0.0).meetings]:
                assert meeting.said[0].prediction == meeting.fresh.label
                met[meeting.said[0].request_id] = met.get(meeting.said[0].request_id, 0) + 1
        assert met == {f"id-{n}": 1 for n in range(count)}
        right = "SELECT count(*) FROM log WHERE label = prediction"
        assert tuple(book.link.execute(right).fetchone()) == (count,)
        book.close()

    def test_values_come_back_as_what_they_were(self, book):
        """A yes or no, a number, however large or whole, and a text."""
        said = {"yes": (1, True), "one": (1.0, 1.0), "large": (1e16, 1e16), "text": ("1", "1")}
        book.write([row(key, prediction=one, unit=2**63) for key, (one, _) in said.items()], 0.0)
        told = [Truth(key, label=label, answer=label) for key, (_, label) in said.items()]
        found = {m.said[0].request_id: m for m in book.receive(told, 0.0).meetings}
        for key, (_, label) in said.items():
            one = found[key]
            for value in (one.said[0].prediction, one.fresh.label, one.fresh.answer):
                assert (value, type(value)) == (label, type(label))
            assert one.said[0].unit == 2**63

    def test_what_was_told_is_numbered_and_told_again_to_whoever_begins(self, book, opened):
        one = Matured("flights", 1, "s", 0, 0, (MaturedRow(Judged("v1", True)),), request_id="a")
        told = []
        book.tell = lambda _meetings: told.extend(book.post([one], 1001.0))
        book.write([row("a"), row("b")], 1000.0)
        book.receive([Truth("a", label=1.0)], 1001.0)
        book.receive([Truth("b", label=1.0)], 1001.0)
        assert [each.number for each in told] == [1, 2]
        book.close()
        again = opened()
        assert [each.number for each in again.posted({"flights": 1})] == [2]
        again.forget([])
        again.tell = lambda _meetings: told.extend(again.post([one], 1002.0))
        again.receive([Truth("b", value=1.0)], 1002.0)
        assert told[-1].number == 3
        again.close()

    def test_what_is_old_goes_with_its_truths(self, book):
        book.write([row(f"id-{n}", time=float(n)) for n in range(100)], 0.0)
        book.receive([Truth("id-7", label=True)], 0.0)
        book.prune(before=40.0, bytes_max=10**9, early_before=0.0)
        found = book.counts()
        assert (found.predictions, found.truths, found.oldest) == (60, 0, 40.0)
        size = found.bytes
        book.prune(before=0.0, bytes_max=size // 2, early_before=0.0)
        assert 0 < book.counts().predictions <= 31

    def test_a_person_is_forgotten_with_all_that_was_told(self, book, opened):
        """Also of a row that nobody predicted, and what another one erases is known here."""
        book.write([row("hers", person="she"), row("his", person="he", receipt="00ff")], 0.0)
        copy = row("hers", version="v2", role="shadow")
        book.write([copy], 0.0)
        book.receive([
            Truth("hers", label=1.0), Truth("hers", row=7, answer="her words"),
            Truth("his", label=1.0), Truth(receipt="00ff", row=3, label="his words"),
        ], 0.0)  # fmt: skip
        assert (book.counts().truths, book.counts().waiting) == (4, 2)
        other = opened(writer=False)
        assert other.forget(["she"]) == 2
        other.close()
        book.prune(before=0.0, bytes_max=10**9, early_before=0.0)
        found = book.counts()
        assert (found.predictions, found.truths, found.waiting) == (1, 2, 1)
        assert book.forget(["he"]) == 1
        assert (book.counts().predictions, book.counts().truths) == (0, 0)
