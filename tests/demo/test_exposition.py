from prediction_services.demo.exposition import difference, read_scrape
from prediction_services.demo.recording import Attempts

FIRST = """\
# TYPE rampway_outcomes_total counter
rampway_outcomes_total{route="r",version="v2",role="stable",outcome="ok"} 100
rampway_outcomes_total{route="r",version="v4",role="candidate",outcome="ok"} 5
# TYPE rampway_request_seconds histogram
rampway_request_seconds_bucket{route="r",version="v2",role="stable",le="0.01"} 100
rampway_request_seconds_bucket{route="r",version="v2",role="stable",le="0.02"} 100
rampway_request_seconds_bucket{route="r",version="v2",role="stable",le="+Inf"} 100
"""
SECOND = """\
# TYPE rampway_outcomes_total counter
rampway_outcomes_total{route="r",version="v2",role="stable",outcome="ok"} 200
rampway_outcomes_total{route="r",version="v2",role="stable",outcome="client_abort"} 20
rampway_outcomes_total{route="r",version="v4",role="candidate",outcome="ok"} 5
rampway_outcomes_total{route="r",version="v4",role="candidate",outcome="server_error"} 3
rampway_outcomes_total{route="r",version="v4",role="candidate",outcome="timeout"} 1
# TYPE rampway_request_seconds histogram
rampway_request_seconds_bucket{route="r",version="v2",role="stable",le="0.01"} 150
rampway_request_seconds_bucket{route="r",version="v2",role="stable",le="0.02"} 200
rampway_request_seconds_bucket{route="r",version="v2",role="stable",le="+Inf"} 200
"""


def test_only_what_happened_between_two_scrapes_counts():
    found = difference(read_scrape(FIRST), read_scrape(SECOND), 7.0)

    assert found == [
        Attempts(7.0, "v2", "stable", 100, 0, p50_ms=10.0, p95_ms=19.0),
        Attempts(7.0, "v4", "candidate", 4, 4, p50_ms=None, p95_ms=None),
    ]


def test_versions_without_requests_are_left_out():
    assert difference(read_scrape(FIRST), read_scrape(FIRST), 7.0) == []
