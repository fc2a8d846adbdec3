"""The sequential tests: each one a supermartingale under "the candidate is within tolerance".

Start reading in :mod:`router.core.evidence.bettors` (the theorem) and
:mod:`router.core.evidence.compare` (the test that decides most rollouts).
"""

from router.core.evidence.compare import CompareEvidence
from router.core.evidence.guard import GuardEvidence
from router.core.evidence.paired import PairedEvidence
from router.core.evidence.promote import PromoteEvidence
from router.core.evidence.ramp import Ramp, upper_bound
from router.core.evidence.sample_ratio import SampleRatio

__all__ = [
    "CompareEvidence",
    "GuardEvidence",
    "PairedEvidence",
    "PromoteEvidence",
    "Ramp",
    "SampleRatio",
    "upper_bound",
]
