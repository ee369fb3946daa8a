"""Two recognisable patients at two facilities, and what of them stands in an answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from orchestrator.core.instants import HOUR, written
from orchestrator.stream.clock import RealClock
from orchestrator.worklist.access.roles import Principal, principal
from tests.worklist.world import World, world

TEAMS: Final = frozenset({"nurse-outreach", "scheduling", "pharmacy", "case-management"})


class Planted:
    """What only one facility's patient has."""

    def __init__(self, facility: str, mark: str) -> None:
        self.facility = facility
        self.mrn = f"MRN{mark}7391"
        self.name = f"Zyzx{mark}ia"
        self.phone = f"202-555-{mark}9173"
        self.street = f"{mark} Canarygasse"
        self.birth_date = {"GEN": "1931-02-27", "MID": "1932-03-28"}[facility]
        self.note = f"fell over the {mark} budgerigar"

    @property
    def personal(self) -> tuple[str, ...]:
        return (self.mrn, self.name, self.phone, self.street, self.birth_date)

    @property
    def clinical(self) -> tuple[str, ...]:
        return (self.note,)

    def told(self) -> list[dict[str, Any]]:
        """A stay, a person, a discharge, a note: what a hospital sends."""
        now = RealClock().now()
        visit = {"visit_number": f"V-{self.mrn}"}
        person = {
            "name": {"family": self.name, "given": [self.name]},
            "birth_date": self.birth_date,
            "phones": [self.phone],
            "address": {"line": self.street},
            "caregivers": [{"name": self.name, "phone": self.phone}],
        }
        call = {**visit, "kind": "CALL_48H", "actor": "n1", "role": "rn"}
        return [
            self._event("admission.opened", {**visit, "class": "INPATIENT"}, now - 50 * HOUR),
            self._event("patient.updated", person, now - 49 * HOUR),
            self._event("discharge.recorded", {**visit, "disposition": "01"}, now - 2 * HOUR),
            self._event(
                "task.attempted",
                {**call, "reached": "no-answer", "note": self.note},
                now - HOUR,
            ),
        ]

    def _event(self, name: str, data: dict[str, Any], at: int) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "id": f"E-{self.facility}-{name}",
            "source": f"hospital/{self.facility}/adt",
            "type": f"care.{name}.v1",
            "time": written(at),
            "subject": f"{self.facility}|{self.mrn}",
            "facility": self.facility,
            "data": data,
        }


GEN: Final = Planted("GEN", "Ggg")
MID: Final = Planted("MID", "Mmm")


@asynccontextmanager
async def planted(folder: Path) -> AsyncIterator[World]:
    """A worklist with both of them, each called once."""
    async with world(folder, patients=0) as made:
        made.send(*GEN.told(), *MID.told())
        await made.until(
            "/tasks?kind=CALL_48H",
            lambda found: [item["attempts"] for item in found["items"]] == [1, 1],
        )
        yield made


def person(made: World, role: str, *facilities: str) -> Principal:
    """Somebody of one role and all teams but the restricted one."""
    name = f"{role}-at-{'-'.join(facilities)}"
    who = principal(name, frozenset({role}), TEAMS, frozenset(facilities))
    made.people.known[name] = who
    return who


def text_of(response: httpx.Response) -> str:
    """All that an answer tells: its body and its headers."""
    return response.text + str(response.headers)


def found_in(text: str, canaries: tuple[str, ...]) -> list[str]:
    return [canary for canary in canaries if canary.casefold() in text.casefold()]
