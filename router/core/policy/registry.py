"""Where the outcome of a rollout is written back to: the model registry."""

import re
from typing import Annotated

from pydantic import Field, StrictInt, StrictStr

from router.core.quantities import Formed, Name, Seconds, Text
from router.core.spec import Kinds, Spec
from router.core.urls import Headers, Url

_VERSION = re.compile(r"v?([0-9]{1,9})\Z")

Alias = Annotated[
    StrictStr,
    Formed(r"^[A-Za-z0-9_-]{1,255}$", "an alias of letters, digits, underscores and hyphens"),
]
"""As MLflow takes them; it reserves ``latest`` and ``v`` with a number itself."""

ModelVersion = Annotated[StrictStr, Formed(r"^[1-9][0-9]{0,8}$", 'a model version such as "3"')]


class Registry(Spec):
    """A model registry that is told who is stable."""


class Aliases(Spec):
    """Names that follow the roles of a rollout."""

    stable: Alias | None = "champion"
    """Alias of the model version that is stable."""
    candidate: Alias | None = "challenger"
    """Alias of the model version on trial; taken away when the trial ends."""


class MlflowRegistry(Registry):
    """MLflow's model registry: aliases of a registered model follow the rollout."""

    url: Url
    """Tracking server, such as http://mlflow.example.org:5000."""
    model: Annotated[Text, Field(min_length=1, max_length=256)]
    """Name of the registered model."""
    aliases: Aliases = Aliases.unwritten()
    """Aliases that are moved: stable champion, candidate challenger; null leaves one alone."""
    versions: dict[Name, ModelVersion] = Field(default_factory=dict, max_length=32)
    """Model version of each version here, such as {green: "4"}; absent: v4 and 4 are version 4."""
    timeout: Annotated[Seconds, Field(gt=0, le=300)] = 10.0
    """Time one call may take."""
    retries: Annotated[StrictInt, Field(ge=0, le=20)] = 8
    """Further tries after a failed one, each after twice the pause, from a second on."""
    headers: Headers = Field(default_factory=dict)
    """Header fields of the calls, such as Authorization."""

    def version_of(self, name: str) -> str | None:
        """The model version that ``name`` stands for; None when nobody said."""
        match = _VERSION.match(name)
        return self.versions.get(name) or (match[1] if match else None)


REGISTRIES: Kinds[Registry] = Kinds({"mlflow": MlflowRegistry})
"""Every registry. A new one is a class and a line here, and its calls in the control plane."""
