"""What `compare` in a policy may say; `Likeness` of :mod:`.comparison` carries it out."""

from typing import Annotated

from pydantic import Field, StrictInt, StrictStr

from router.core.quantities import BasisPoints, Formed, Number, Text
from router.core.spec import Spec
from router.core.words import FULL_BP


class Segment(Spec):
    """What requests are told apart by when agreement is shown to people."""

    header: Annotated[
        StrictStr,
        Formed(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$", "a field name such as X-Country"),
    ]
    """Request header whose value is the segment, such as X-Country; the first 50 values count."""


class Compare(Spec):
    """When two answers to the same request agree, and what is kept of those that do not.

    A field is an output or a dotted path such as choices.content; it stands for everything inside
    and for every element of a list.
    """

    decide_on: tuple[Text, ...] = Field(default=(), max_length=32)
    """Outputs or fields that decide agreement, such as predict; absent: all of them."""
    ignore: tuple[Text, ...] = Field(default=(), max_length=64)
    """Outputs or fields that are not looked at."""
    absolute: Annotated[Number, Field(ge=0)] = 1e-6
    """Numbers that differ by at most this agree."""
    relative: BasisPoints = 1
    """Numbers that differ by at most this share of the larger one agree."""
    top_k: Annotated[StrictInt, Field(ge=1, le=1_000)] | None = None
    """Compare vectors by the overlap of their k highest entries instead of number by number."""
    top_k_overlap: Annotated[BasisPoints, Field(gt=0)] = FULL_BP
    """Share of the k highest entries that must be the same."""
    score: Text | None = None
    """Output or field whose distance and direction are reported; absent: what decides."""
    positive_above: Number = 0.5
    """A score above this is a positive answer."""
    noise: BasisPoints = 0
    """Share of the copied requests that stable answers twice; what differs there is noise."""
    noise_pairs: Annotated[StrictInt, Field(ge=20, le=10**6)] = 200
    """First pairs, of either kind, that noise is learnt from; they are no evidence."""
    reverse: BasisPoints = 0
    """Share of what the candidate answers that stable is asked too, so that comparing goes on."""
    segment: Segment | None = None
    """What agreement is shown by, besides in all; absent: nothing."""
    redact: tuple[Text, ...] = Field(default=(), max_length=64)
    """Outputs or fields whose values people never see, also where they differ."""
