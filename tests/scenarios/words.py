"""The vocabulary of the stories: what their short words mean on the wire."""

from typing import Any, Final

DISPOSITIONS: Final = {"home": "01", "transfer": "02", "snf": "03", "ama": "07", "expired": "20"}
CLASSES: Final = {
    "inpatient": "INPATIENT",
    "observation": "OBSERVATION",
    "ed": "EMERGENCY",
    "outpatient": "OUTPATIENT",
    "snf": "SNF",
    "recurring": "RECURRING",
    "newborn": "NEWBORN",
    "preadmit": "PREADMIT",
}
ADMIT_TYPES: Final = {"emergency": "E", "urgent": "U", "elective": "C"}  # HL7 table 0007
FROM_A_HOSPITAL: Final = "4"  # HL7 table 0023, admit source: transfer from a hospital
REACHED: Final = frozenset(
    {"patient", "caregiver", "voicemail", "no-answer", "wrong-number", "bot"}
)
OUTCOMES: Final = {
    "ok": "ok",
    "scheduling-only": "scheduling-only",
    "declined-followup": "declined_followup",
    "needs-escalation": "needs_escalation",
}
# Ruling 23: all six are needed for `ok`.
ANSWERS: Final = {
    "understanding": "yes",
    "medicines": "yes",
    "symptoms": "no",
    "appointment": "yes",
    "help_at_home": "yes",
    "education_given": "yes",
}
ATTRIBUTED_PCP: Final = {
    "npi": "1111111112",
    "name": "Alma Reyes",
    "specialty": "Family Medicine",
    "organization": "Elm Practice",
}
# Ruling 25: each differs from the attributed PCP in what its name says.
PROVIDERS: Final[dict[str, dict[str, Any]]] = {
    "pcp": ATTRIBUTED_PCP,
    "partner": {
        "npi": "2222222223",
        "specialty": "Nurse Practitioner",
        "organization": "ELM practice",
    },
    "cardiologist": {
        "npi": "3333333334",
        "specialty": "Cardiology",
        "organization": "Heart Clinic",
    },
    "internist": {
        "npi": "4444444445",
        "specialty": "internal medicine",
        "organization": "Bay Clinic",
    },
    "says-pcp": {"npi": "5555555556", "organization": "Bay Clinic", "is_pcp": True},
    "says-not-pcp": {
        "npi": "6666666667",
        "specialty": "Geriatrics",
        "organization": "Bay Clinic",
        "is_pcp": False,
    },
}
