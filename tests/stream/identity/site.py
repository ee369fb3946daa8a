"""The site of these tests: two hospitals, a facility, and a number that links across them."""

from typing import Final

from orchestrator.core.policy import Rules
from orchestrator.stream.rules import rules
from schemas.facilities import Facilities
from schemas.policy import load_policies

SITE_KEY: Final = b"a key of the identity tests"
FACILITIES_YAML: Final = """
default: {zone: America/New_York, type: acute, linking_authorities: [EMPI]}
GEN: {zone: America/New_York}
MID: {zone: America/Chicago}
SNF1: {zone: America/New_York, type: snf}
"""
SETTINGS: Final = Facilities.parse(FACILITIES_YAML)
RULES: Final[Rules] = rules(tuple(load_policies(None)), SETTINGS)
