"""Who is asked and told about a rollout: webhooks at eight points of its life, and alerts.

The points are Flagger's, by the names in :data:`.points.HOOKS`. Each hook is an HTTP POST; an
answer of 200 to 202 means "go". No answer at all is never "go": what is asked and does not answer
keeps a rollout where it is. Nothing here can keep a rollback from happening.
"""

from typing import Annotated, ClassVar, Final, Literal, get_args

from pydantic import Field, StrictInt

from router.core.quantities import Flag, Name, Seconds, Text
from router.core.spec import Spec
from router.core.urls import Headers, SecretUrl, Url


class Hook(Spec):
    """One HTTP endpoint of yours and how it is called."""

    point: ClassVar[str] = ""
    """Its name in :data:`.points.HOOKS`."""

    name: Name | None = None
    """What people see instead of the point's name, needed for the second hook of a point."""
    url: Url
    """Where the POST goes; redirects are not followed."""
    timeout: Annotated[Seconds, Field(gt=0, le=300)] = 10.0
    """Time one call may take."""
    retries: Annotated[StrictInt, Field(ge=0, le=10)] = 1
    """Further calls at once when there was no answer."""
    metadata: dict[Text, Text] = Field(default_factory=dict, max_length=64)
    """Text of your own that is sent along."""
    headers: Headers = Field(default_factory=dict)
    """Header fields of the call, by name; an edit takes effect in a rollout under way."""
    mute_alert: Flag = False
    """Whether alerts keep silent about this hook."""

    @property
    def title(self) -> str:
        """What people see."""
        return self.name or self.point


class Asked(Hook):
    """A hook whose answer decides something."""

    interval: Annotated[Seconds, Field(ge=1)] = 10.0
    """Time between two calls while the answer matters."""


class Check(Asked):
    """A hook whose refusals are counted."""

    failure_limit: Annotated[StrictInt, Field(ge=0, le=10**6)] = 5
    """Refusals in an attempt that are put up with; one more rolls back. Silence only holds."""


class ConfirmRollout(Asked):
    """Asked before the candidate gets anything; it waits at 0 % until the answer is go."""

    point: ClassVar[str] = "confirm_rollout"


class PreRollout(Check):
    """A check before the candidate gets anything, such as a smoke test; go lets it begin."""

    point: ClassVar[str] = "pre_rollout"


class DuringRollout(Check):
    """A check that is called all the while steps go on, such as a load test."""

    point: ClassVar[str] = "rollout"


class ConfirmTrafficIncrease(Asked):
    """Asked before every step that gives the candidate more."""

    point: ClassVar[str] = "confirm_traffic_increase"


class ConfirmPromotion(Asked):
    """Asked before the candidate gets all traffic."""

    point: ClassVar[str] = "confirm_promotion"


class PostRollout(Hook):
    """Told once, after the rollout ended, however it did."""

    point: ClassVar[str] = "post_rollout"


class DemandRollback(Asked):
    """Asked all the while whether to go back: any 2xx answer takes the candidate back at once."""

    point: ClassVar[str] = "rollback"


class EveryEvent(Hook):
    """Told everything that goes into the journal about this rollout."""

    point: ClassVar[str] = "event"


AlertSeverity = Literal["info", "warn", "error"]
SEVERITIES: Final[tuple[AlertSeverity, ...]] = get_args(AlertSeverity)
"""In rising order."""

Trigger = Literal[
    "started",
    "step_completed",
    "paused",
    "approval_needed",
    "held",
    "gate_failed",
    "rolled_back",
    "aborted",
    "completed",
    "no_data",
    "shadow_undelivered",
    "config_rejected",
    "hook_failed",
    "extraction_suspected",
    "drift",
]

TRIGGERS: Final[dict[Trigger, AlertSeverity]] = {
    "started": "info",
    "step_completed": "info",
    "paused": "warn",
    "approval_needed": "warn",
    "held": "warn",
    "gate_failed": "warn",
    "rolled_back": "error",
    "aborted": "error",
    "completed": "info",
    "no_data": "warn",
    "shadow_undelivered": "warn",
    "config_rejected": "error",
    "hook_failed": "warn",
    "extraction_suspected": "warn",
    "drift": "warn",
}
"""What alerts are sent for, and how grave each is."""


class Alert(Spec):
    """Somebody who is told; never waited for."""

    kind: Literal["webhook", "slack", "alertmanager"] = "webhook"
    """`webhook` gets the facts as JSON; `slack` gets text, as Slack, Mattermost and others read;
    `alertmanager` an alert of Prometheus' Alertmanager, whose url ends in /api/v2/alerts."""
    url: SecretUrl
    """Where the POST goes; whoever knows a chat's URL can write there, so keep it in a file."""
    severity: AlertSeverity = "info"
    """The least grave event that is sent: info, warn or error."""
    on: Annotated[tuple[Trigger, ...], Field(min_length=1, max_length=len(TRIGGERS))] = tuple(
        TRIGGERS
    )
    """Events that are sent, as far as they are grave enough; absent: all."""
    timeout: Annotated[Seconds, Field(gt=0, le=300)] = 10.0
    """Time one delivery may take."""
    retries: Annotated[StrictInt, Field(ge=0, le=10)] = 3
    """Further deliveries after a failed one, each after twice the pause, from a second on."""
    headers: Headers = Field(default_factory=dict)
    """Header fields of the call, by name."""

    def wants(self, trigger: Trigger, severity: AlertSeverity | None = None) -> bool:
        """Whether an event of this kind is sent."""
        grave = SEVERITIES.index(severity or TRIGGERS[trigger])
        return trigger in self.on and grave >= SEVERITIES.index(self.severity)
