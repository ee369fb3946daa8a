"""A visit number that was used for two stays, of which nobody ever said the class."""

from typing import Any

import pytest

from orchestrator.stream.replay import replay_events

DISCHARGE = {"visit_number": "V1", "disposition": "01"}


def event(name: str, what: str, time: str, received: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": name,
        "source": "hospital/GEN/adt",
        "type": f"care.{what}.v1",
        "time": time,
        "receivedtime": received,
        "subject": "GEN|M1",
        "facility": "GEN",
        "data": data,
    }


@pytest.mark.parametrize("first", [0, 1])
def test_a_discharge_before_the_admission_of_its_number_is_one_of_its_own(first: int) -> None:
    """Its date may be wrong, or the number used again: nobody is left out, whichever came first."""
    receipts = ["2026-10-06T23:30:00Z", "2026-10-07T23:30:00Z"]
    events = [
        event("e1", "discharge.recorded", "2026-10-04T19:00:00Z", receipts[first], DISCHARGE),
        event("e2", "admission.opened", "2026-10-05T18:00:00Z", receipts[1 - first],
              {"visit_number": "V1"}),
    ]  # fmt: skip
    answer = replay_events(events, as_of="2026-10-08T00:00:00Z")
    (patient,) = answer["patients"]

    assert answer["rejected"] == []
    assert [stay["status"] for stay in patient["stays"]] == ["open"]
    (transition,) = patient["transitions"]
    assert transition["index_discharge_at"] == "2026-10-04T19:00:00Z"
    assert transition["close_reason"] == "READMITTED"
