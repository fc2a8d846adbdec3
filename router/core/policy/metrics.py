"""`metrics:` of a route: how its versions are asked what they use."""

from typing import Annotated, Self

from pydantic import Field, StrictInt, StrictStr, model_validator

from router.core.quantities import Flag, Formed, Seconds
from router.core.spec import Spec
from router.core.urls import Headers
from router.core.usage.signals import SIGNALS

MetricsPath = Annotated[
    StrictStr, Formed(r"^/[!-\"$->@-~]{0,255}$", "a path such as /metrics, without query")
]
SeriesName = Annotated[
    StrictStr,
    Formed(r"^[a-zA-Z_:][a-zA-Z0-9_:]{0,199}$", "a metric's name such as my_queue_length"),
]


class MetricsPolicy(Spec):
    """What versions say about themselves: memory, CPU, GPU, queue. Told to people and to gates.

    Every version that has traffic, copies or a rollout is asked, each of its endpoints, by the
    rules for calls to the outside; its clients' requests never wait for it.
    """

    path: MetricsPath | None = None
    """Where an endpoint answers in Prometheus' text format, such as /metrics. Absent: it is not
    asked."""
    port: Annotated[StrictInt, Field(ge=1, le=65_535)] | None = None
    """Port of that path, such as 8002 of Triton; absent: the endpoint's own."""
    headers: Headers = Field(default_factory=dict)
    """Header fields of the question, by name."""
    interval: Annotated[Seconds, Field(ge=1)] = 10.0
    """Time between two questions to one endpoint."""
    timeout: Annotated[Seconds, Field(gt=0, le=60)] = 2.0
    """Time an answer may take."""
    series: dict[StrictStr, SeriesName] = Field(default_factory=dict)
    """Names of your own by signal (memory, cpu, gpu, gpu_memory, queue), where a version uses
    others than the usual ones; cpu is a counter of seconds, gpu and gpu_memory are 0 to 1."""
    orca: Flag = False
    """Whether requests ask for a load header (endpoint-load-metrics, ORCA) and answers are looked
    at for one, as Triton and vLLM send it; it goes no further to clients that did not ask."""

    @model_validator(mode="after")
    def _asks(self) -> Self:
        if self.path is None and not self.orca:
            raise ValueError("expected path, such as metrics: /metrics, or orca: true")
        for name in self.series:
            if name not in SIGNALS:
                raise ValueError(
                    f"expected one of {', '.join(SIGNALS)} in series, got {name!r:.40}"
                )
        return self
