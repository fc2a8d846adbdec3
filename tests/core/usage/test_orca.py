"""Load headers in every form that servers send, and in some that none should."""

import pytest

from router.core.foreign import Unreadable
from router.core.usage.orca import reported


@pytest.mark.parametrize(
    ("text", "found"),
    [  # the examples of Triton's documentation, vLLM's source and Envoy's parser
        ("TEXT cpu_utilization=0.3, mem_utilization=0.8, named_metrics.num_requests_waiting=4",
         {"cpu": 0.3, "queue": 4.0}),
        ('JSON {"cpu_utilization": 0.3, "named_metrics": {"kv_cache_usage_perc": 0.4}}',
         {"cpu": 0.3, "gpu_memory": 0.4}),
        ("cpu_utilization:0.7,application_utilization:0.9,named_metrics.queue:1",
         {"cpu": 0.9, "queue": 1.0}),
        ("TEXT ", {}),
        ("", {}),
        ("TEXT cpu_utilization=NaN, named_metrics.queue=-1", {}),
        ('JSON {"cpu_utilization": true, "named_metrics": [], "utilization": {"gpu": 0.5}}',
         {"gpu": 0.5}),
    ],
)  # fmt: skip
def test_each_form_is_read(text, found):
    assert reported(text) == found


@pytest.mark.parametrize(
    "text",
    ["BIN AAAA", "JSON [", "JSON []", "TEXT cpu_utilization=much", "TEXT " + "a=1," * 400,
     'JSON {"a":' + "[" * 50],
)  # fmt: skip
def test_what_is_none_is_unreadable(text):
    with pytest.raises(Unreadable):
        reported(text)
