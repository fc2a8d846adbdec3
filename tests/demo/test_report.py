import re
from html.parser import HTMLParser

import pytest

from prediction_services.demo.expectations import Finding, check
from prediction_services.demo.recording import Recording
from prediction_services.demo.report import charts, render
from prediction_services.demo.report.charts import stairs
from router.drawing.plot import SIZE, LinearAxis, LogAxis, unbroken

VOID = {"meta", "br", "rect", "line"}


class Document(HTMLParser):
    """Checks that tags close in order, and collects text, tags and attributes."""

    def __init__(self, html):
        super().__init__()
        self.open, self.problems, self.tags, self.attributes = [], [], set(), []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        if tag in VOID and tag not in self.open:
            return
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def html(recording):
    return render(recording, check(recording))


def test_the_page_is_well_formed(html):
    document = Document(html)

    assert (document.problems, document.open) == ([], [])
    assert html.startswith("<!doctype html>")
    assert ("lang", "en") in document.attributes
    assert ("charset", "utf-8") in document.attributes


def test_nothing_is_loaded_from_anywhere(html):
    document = Document(html)

    assert document.tags.isdisjoint({"script", "link", "img", "iframe", "object", "a", "image"})
    assert {name for name, _ in document.attributes}.isdisjoint({"src", "href", "xlink:href"})
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_the_page_fits_a_telephone(html):
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in html
    assert re.search(r"@media\(max-width:", html)
    assert re.search(r"@media\(prefers-color-scheme:dark\)", html)
    fixed = [int(px) for px in re.findall(r"(?<![-\w])(?:min-)?width:(\d+)px", html)]
    assert [px for px in fixed if px > 340] == []


def test_what_happened_is_on_the_page(html, recording):
    text = Document(html).text

    for words in (
        "12,820", "of them failed for their client", "161", "8 ms", "All 12 expectations were met.",
        "rolled back by local: <odd>", "candidate: broken-zero", "-      candidate: v3",
        "+      candidate: broken-zero", "blue_green", "broken-zero 180 : 1",
        "false_rollback_rate: 1%",
    ):  # fmt: skip
        assert words in text, words
    for entry in recording.journal:
        assert entry.reason in text
    for act in recording.acts:
        assert act.title in text


def test_a_play_that_failed_says_so(recording):
    findings = [Finding("the play went through", met=False, text="waited in vain for v3")]

    text = Document(render(recording, findings)).text

    assert "The demo did not go as it must" in text
    assert "1 of 1 expectations were not met" in text
    assert "waited in vain for v3" in text


def test_a_play_that_never_began_still_gives_a_page():
    empty = Recording(started=0.0, rate_per_s=200.0, seed=1, versions={"v2": "stable"})

    document = Document(render(empty, check(empty)))

    assert (document.problems, document.open) == ([], [])


def test_reasons_cannot_become_markup(recording):
    recording.journal[0] = type(recording.journal[0])(
        4.0, 1, "r", "a<b>", "start", "progressing", 1, 0, "<script>alert(1)</script>", {}
    )

    assert "<script" not in render(recording, [])


def test_shares_are_stacked_to_the_top(recording):
    areas = [mark for mark in charts.shares(recording).marks if "polygon" in mark]

    assert len(areas) == 4, "v2, v3, v4 and v5 answered"
    heights = [float(y) for y in re.findall(r",([\d.]+)", areas[-1].partition(">")[0])]
    assert min(heights) == 0, "the last one reaches 100 %"


def test_evidence_jumps_over_the_limit_where_the_journal_says(recording):
    plot = charts.evidence(recording)

    lines = {tick.value: tick.css for tick in plot.y_ticks if tick.css}
    assert lines == {3: "hold", 100: "limit"}
    labels = re.findall(r">([^<]+ : 1)</span>", "".join(plot.notes))
    assert labels == ["broken-zero 180 : 1", "v4 190 : 1"]


@pytest.mark.parametrize(
    ("scale", "value", "place"),
    [
        (LinearAxis(0, 50), 25, 0.5), (LinearAxis(0, 50), 60, 1.0), (LinearAxis(0, 50), -1, 0.0),
        (LinearAxis(5, 5), 5, 0.0), (LogAxis(0.01, 10_000), 0.01, 0.0),
        (LogAxis(0.01, 10_000), 10, 0.5),
        (LogAxis(0.01, 10_000), 1e30, 1.0), (LogAxis(0.01, 10_000), 0.0, 0.0),
    ],
)  # fmt: skip
def test_scales_keep_everything_inside(scale, value, place):
    assert scale.place(value) == pytest.approx(place)


def test_stairs_hold_each_value_until_the_next():
    assert stairs([(0, 5), (2, 7)], 3) == [(0, 5), (2, 5), (2, 7), (3, 7)]


def test_lines_do_not_bridge_a_time_without_data():
    assert unbroken([(0, 1), (1, 1), (5, 2), (6, 2)], 2) == [[(0, 1), (1, 1)], [(5, 2), (6, 2)]]


def test_evidence_beyond_reading_is_not_printed_in_full(recording):
    for entry in recording.journal:
        entry.evidence["capital"] = 5.17e28

    notes = "".join(charts.evidence(recording).notes)

    assert "broken-zero over 1,000,000 : 1" in notes


def test_marks_stay_inside_the_drawing(recording):
    for draw in (charts.shares, charts.evidence, charts.errors, charts.latency, charts.agreement):
        for mark in draw(recording).marks:
            for points in re.findall(r'points="([^"]+)"', mark):
                places = [float(number) for number in re.split(r"[ ,]", points)]
                assert min(places) >= 0, draw.__name__
                assert max(places) <= SIZE, draw.__name__
