"""Whose gap it is, and the published form of one (``contract.md`` §4)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orchestrator.core import ids
from orchestrator.core.instants import written
from orchestrator.core.masking import is_masked
from orchestrator.core.policy import Policy
from orchestrator.core.stays import Stay
from orchestrator.core.view import View
from orchestrator.core.wanted import Wanted


def stay_scope(subject: str, facility: str, visit: str) -> str:
    """The scope of a stay's gaps; two patients may share a visit number by mistake."""
    return f"stay:{facility}|{visit}|{subject}"


@dataclass(slots=True)
class Scope:
    """Whose gaps are collected: a transition's, a stay's, a person's or a facility's."""

    view: View
    policy: Policy
    facility: str
    transition: str | None
    scope: str | None
    subject_patient: str  # immutable identifier under which it came
    protocol: str = "core"
    status: str = "open"  # suppressed where the patient declined
    masked: bool = False
    found: list[Wanted] = field(default_factory=list)

    def add(
        self,
        code: str,
        since: int,
        sentence: Callable[[], str],
        *,
        subject: str = "",
        recorded: bool = False,
        second: bool = False,
        severity: str | None = None,
        evidence: dict[str, Any] | None = None,
        caused_by: tuple[str, ...] = (),
        known: int | None = None,
        of: Stay | None = None,
    ) -> None:
        """
        Want one gap.

        Args:
            code: Of the catalogue.
            since: When it became true in the world.
            sentence: Why, made only when it is published.
            subject: Which one, where there can be several.
            recorded: A fact that asks for no action.
            second: The second severity of the catalogue's row holds.
            severity: In place of the catalogue's.
            evidence: Plain data.
            caused_by: Event ids.
            known: The receipt of its newest cause; an acknowledgement covers what it came after.
            of: Another stay that it tells of, and betrays if that is withheld.
        """
        rule = self.policy.gaps[code]
        gap = ids.gap_id(self.transition or self.scope or "", code, subject)
        acknowledged = self.view.acknowledged.get(gap)
        status = "recorded" if recorded else self.status
        closed = (
            rule.acknowledged
            and acknowledged is not None
            and (known is None or acknowledged >= known)
        )
        content = {
            "gap_id": gap,
            "patient": None if (self.scope or "").startswith("facility:") else self.view.patient,
            "patient_key": self.view.key,
            "transition_id": self.transition,
            "scope": self.scope,
            "facility": self.facility,
            "code": code,
            "subject": subject,
            "status": "closed" if closed else status,
            "severity": severity
            or (rule.otherwise if second and rule.otherwise else rule.severity),
            "team": rule.team,
            "since": written(since),
            "close_reason": "ACKNOWLEDGED" if closed else None,
            "evidence": evidence or {},
            "flags": [],
            "masked": self.masked or (of is not None and is_masked(of, self.view)),
            "rule": f"{self.protocol}/{code.lower().replace('_', '-')}",
            "policy_version": self.policy.version,
            "caused_by": list(caused_by),
        }
        self.found.append(Wanted(gap, content, sentence, self.subject_patient))
