"""Gate ``resources``: does the candidate need more than it may have?

What it looks at is what a version says of itself: its ``/metrics`` (``metrics:`` of the route) or
the load header of its answers (ORCA). A version that leaks memory, or that a queue builds up in,
answers well until it does not; so its failure holds, and a person decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from router.core.gates.gate import GateContext, Measurement
from router.core.gates.measured import Measured, MeasuredState
from router.core.gates.needs import Need
from router.core.quantities import BasisPoints, Bytes, Number
from router.core.usage.seen import UsageFacts
from router.core.usage.signals import SIGNALS, written
from router.core.words import FULL_BP


class Resources(Measured):
    """Bounds of what one endpoint of the candidate may use, on average over its endpoints."""

    kind: ClassVar[str] = "resources"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.USAGE})

    memory: Annotated[Bytes, Field(gt=0)] | None = None
    """Most memory of a process, such as 8GiB."""
    times_stable: Annotated[Number, Field(ge=1)] | None = None
    """Most memory as a multiple of stable's at the same time, such as 1.5: a leak shows early."""
    cpu: Annotated[Number, Field(gt=0)] | None = None
    """Most cores in use, such as 3.5 (with ORCA: share of what there is, such as 0.8)."""
    gpu: Annotated[BasisPoints, Field(gt=0)] | None = None
    """Largest share of the GPU's time."""
    gpu_memory: Annotated[BasisPoints, Field(gt=0)] | None = None
    """Largest share of its memory, or of the cache of keys and values of a language model."""
    queue: Annotated[Number, Field(ge=0)] | None = None
    """Most requests that wait inside the version."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.limits_by_signal and self.times_stable is None:
            raise ValueError(
                "expected at least one of memory, times_stable, cpu, gpu, gpu_memory, queue"
            )
        return self

    @property
    def limits_by_signal(self) -> dict[str, float]:
        """Largest values, in the units of :mod:`router.core.usage.signals`."""
        shares = {"gpu": self.gpu, "gpu_memory": self.gpu_memory}
        found: dict[str, float | None] = {
            "memory": self.memory, "cpu": self.cpu, "queue": self.queue,
            **{name: bp / FULL_BP if bp is not None else None for name, bp in shares.items()},
        }  # fmt: skip
        return {name: float(limit) for name in SIGNALS if (limit := found[name]) is not None}

    def taken(self, seen: UsageFacts) -> Measurement:
        """The candidate's signals, and stable's memory; NaN where one is not known."""
        if seen.trouble:
            return Measurement(error=seen.trouble)
        own = tuple(seen.candidate.get(name, math.nan) for name in SIGNALS)
        return Measurement((*own, seen.stable.get("memory", math.nan)))

    def fine(self) -> Measurement:
        """Nothing is used."""
        return Measurement((0.0,) * (len(SIGNALS) + 1))

    def start(self, context: GateContext) -> ResourcesState:
        """Nothing reported yet."""
        return ResourcesState(self, context)


class ResourcesState(MeasuredState):
    """Reports within and beyond the limits."""

    def __init__(self, gate: Resources, context: GateContext) -> None:
        super().__init__(gate, context)
        self.bounds = gate

    def take(self, values: tuple[float, ...]) -> str:
        """One look: what is beyond decides, else what is not reported does."""
        if len(values) != len(SIGNALS) + 1:
            return "no report of usage"
        own, stable = dict(zip(SIGNALS, values[:-1], strict=True)), values[-1]
        limits = dict(self._limits(stable))
        silent = [name for name, limit in limits.items() if not own[name] <= math.inf]
        silent += ["stable's memory"] if self._compares and math.isnan(stable) else []
        beyond = [name for name, limit in limits.items() if own[name] > limit]
        if silent and not beyond:
            return f"nobody reports {', '.join(silent)}; name its series in metrics"
        self.succeeded(not beyond)
        self.answer = "; ".join(
            f"{written(name, own[name])}, limit {written(name, limit).partition(' ')[2]}"
            for name, limit in limits.items()
            if name in beyond or not beyond
        )
        return ""

    @property
    def _compares(self) -> bool:
        return self.bounds.times_stable is not None

    def _limits(self, stable: float) -> Iterator[tuple[str, float]]:
        """Of each signal that has one; of memory the smaller one."""
        limits, times = self.bounds.limits_by_signal, self.bounds.times_stable
        if times is not None and not math.isnan(stable):
            limits["memory"] = min(limits.get("memory", math.inf), times * stable)
        elif times is not None:
            limits.setdefault("memory", math.inf)
        yield from ((name, limits[name]) for name in SIGNALS if name in limits)
