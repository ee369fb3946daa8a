"""The resource types at ``/fhir``, in the order in which documents name them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from orchestrator.worklist.fhir import audit_events, care_plans, gaps, patients, tasks
from orchestrator.worklist.fhir.kind import Kind

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            tasks.KIND,
            patients.KIND,
            gaps.FLAG,
            gaps.ISSUE,
            care_plans.KIND,
            audit_events.KIND,
        )
    }
)
