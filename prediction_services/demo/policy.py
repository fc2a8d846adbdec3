"""The policy of the demo, as an operator writes it, and the edits made to it on the way."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from prediction_services import MODEL_NAME

ROUTE = MODEL_NAME
"""Name of the one route."""

SHADOW_SAMPLES = 1_000
"""Compared answers before the first client meets a candidate: about one day of flights."""

STEPS_BP = (100, 500, 2_500, 5_000)
"""Weights of the canary after its shadow, basis points; then the bake at 10 000."""

CANARY = f"""\
      strategy:
        canary:
          steps:
            - {{mirror: 100%, hold: 5s, until: {{samples: {SHADOW_SAMPLES}}}, label: shadow}}
            - {{weight: 1%, hold: 3s}}
            - {{weight: 5%, hold: 4s}}
            - {{weight: 25%, hold: 4s}}
            - {{weight: 50%, hold: 4s}}
          bake: 6s                     # 100 %, the old version still warm
"""
"""The strategy of a careful release: look first, then a growing share."""

BLUE_GREEN = """\
      strategy:
        blue_green: {mirror: 100%, hold: 3s, until: {samples: 300}, bake: 10m}
"""
"""The strategy of a quick one: look, then everybody in one moment."""

_HEAD = """\
# yaml-language-server: $schema=../schemas/policy.schema.json
listen: {listen}
admin: {{listen: {admin}}}
store: sqlite:///{store}
{engine}routes:
  - name: {route}
    match: {{path: /v2/models/{model}/*}}
    payload: open_inference_v2         # so that predictions can be compared
    versions:
{versions}
    stable: {stable}
"""

_ROLLOUT = """\
    rollout:
      candidate: {candidate}
{strategy}\
      gates:
        - error_rate: {{tolerance: {{relative: 10%, absolute: 0.1%}}}}
        - slo: {{slower_than: 250ms}}
        - guard: {{error_rate: 5%}}
        - agreement: {{at_least: 96%}}   # with stable's predictions, while mirrored
      detect: {{times: 20, points: 40%}}  # in a demo of a minute; leave it out and more is seen
      false_rollback_rate: 1%          # of all good candidates, however often we look
      compare: {{decide_on: [predict]}}  # the label; probabilities of two models always differ
      rescue: {{on: [5xx, timeout, connect], buffer: 64KiB}}
"""


@dataclass(frozen=True, slots=True)
class Rollout:
    """The part of the policy that the demo edits.

    Attributes:
        candidate: the version on trial.
        strategy: lines of YAML, `CANARY` or `BLUE_GREEN`.
    """

    candidate: str
    strategy: str = CANARY


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """Everything the file says.

    Attributes:
        endpoints: base URL of each version's service.
        stable: the version that answers by default.
        rollout: absent: stable answers everything.
        listen, admin: `host:port` of the router's two listeners.
        store: file of the durable state.
        engine: what carries the traffic, `built-in` or `envoy`.
    """

    endpoints: Mapping[str, str]
    stable: str
    rollout: Rollout | None = None
    listen: str = "127.0.0.1:8080"
    admin: str = "127.0.0.1:8081"
    store: str = "rampway.db"
    engine: str = "built-in"

    def text(self) -> str:
        """The file's content."""
        head = _HEAD.format(
            listen=self.listen,
            admin=self.admin,
            store=self.store,
            engine="" if self.engine == "built-in" else f"engine: {self.engine}\n",
            route=ROUTE,
            model=MODEL_NAME,
            versions="\n".join(
                f"      {name}: {{endpoints: [{url}]}}" for name, url in self.endpoints.items()
            ),
            stable=self.stable,
        )
        if self.rollout is None:
            return head
        return head + _ROLLOUT.format(
            candidate=self.rollout.candidate, strategy=self.rollout.strategy
        )

    def edited(self, stable: str, rollout: Rollout | None) -> "PolicyFile":
        """The same file with another stable version and rollout."""
        return replace(self, stable=stable, rollout=rollout)


EXAMPLE = PolicyFile(
    endpoints={
        name: f"http://127.0.0.1:{port}"
        for name, port in {
            "v2": 9002, "v3": 9003, "broken-zero": 9010, "v4": 9004, "v5": 9005,
        }.items()
    },
    stable="v2",
    rollout=Rollout("v3"),
)  # fmt: skip
"""The demo's first release with the usual ports; `configs/demo.yaml` is its text."""
