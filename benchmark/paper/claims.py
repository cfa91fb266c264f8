"""All claims of the paper by id."""

from __future__ import annotations

from benchmark.paper.claim import Claim
from benchmark.paper.claims_on_methods import CLAIMS_ON_METHODS
from benchmark.paper.claims_on_settings import CLAIMS_ON_SETTINGS
from benchmark.plan.config import ConfigError, unknown_name

CLAIMS = {claim.id: claim for claim in (*CLAIMS_ON_METHODS, *CLAIMS_ON_SETTINGS)}
"""In the order of the tables."""


def find_claim(name: str) -> Claim:
    """Return the claim with this id. Raises ConfigError with a suggestion if there is none."""
    if name not in CLAIMS:
        raise ConfigError(f"--claim: {unknown_name('claim', name, CLAIMS)}")
    return CLAIMS[name]
