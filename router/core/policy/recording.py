"""What of the evidence's food is kept, so that decisions can be made again."""

from typing import Annotated

from pydantic import Field, StrictInt

from router.core.quantities import Bytes, Text
from router.core.spec import Spec


class RecordingPolicy(Spec):
    """Record everything that decisions are made of; `rampway replay` makes them again.

    It holds counts and settings, no requests and no answers; where gates read live predictions, of
    sampled requests the labels and scores, and the values by which segments are told apart. About
    1 KB a report: some 10 MB an hour for one busy route.
    """

    file: Annotated[Text, Field(min_length=1)] = "rampway.recording"
    """Where to; older ones get .1, .2 and so on. From the working directory."""
    size: Annotated[Bytes, Field(ge=64 * 1024)] = 64 * 1024 * 1024
    """Size at which a new file is begun; each can be replayed by itself."""
    keep: Annotated[StrictInt, Field(ge=0, le=100)] = 4
    """Older files that are kept."""
