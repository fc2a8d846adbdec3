"""Sampled requests in the reader's process: everything that is made of their bodies is made here.

:func:`looked` is called once for each sample. What it finds goes back as :class:`Facts`, which are
small; what else is made of the bodies has a line of its own here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.core.predictions.facts import facts_of

if TYPE_CHECKING:
    from router.core.wire.sampled import Facts, Sampled
    from router.link.messages import Reads


def looked(sample: Sampled, reads: Reads) -> Facts:
    """What a sample's prediction is."""
    return facts_of(sample, reads.payload, reads.declared, reads.by)
