"""At which points of a rollout hooks are called, and who is told of it: the keys of a policy."""

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from router.core.spec import Kinds, Later, OneOf

if TYPE_CHECKING:
    from router.core.policy.hooks import Alert, Hook
else:
    Alert = Later("router.core.policy.hooks:Alert")
    Hook = Later("router.core.policy.hooks:Hook")

HOOKS_MAX: Final = 32
ALERTS_MAX: Final = 32

HOOKS: "Kinds[Hook]" = Kinds(
    {
        "confirm_rollout": "router.core.policy.hooks:ConfirmRollout",
        "pre_rollout": "router.core.policy.hooks:PreRollout",
        "rollout": "router.core.policy.hooks:DuringRollout",
        "confirm_traffic_increase": "router.core.policy.hooks:ConfirmTrafficIncrease",
        "confirm_promotion": "router.core.policy.hooks:ConfirmPromotion",
        "post_rollout": "router.core.policy.hooks:PostRollout",
        "rollback": "router.core.policy.hooks:DemandRollback",
        "event": "router.core.policy.hooks:EveryEvent",
    }
)
"""Every point at which a hook is called. A new one is a class in `hooks` and a line here."""

FIRST_POINTS: Final = ("confirm_rollout", "pre_rollout", "confirm_traffic_increase")
"""Points that are passed before the candidate gets anything."""

HookList = Annotated[tuple[Annotated[Hook, OneOf(HOOKS, "hook")], ...], Field(max_length=HOOKS_MAX)]
AlertList = Annotated[tuple[Alert, ...], Field(max_length=ALERTS_MAX)]
