"""The form of a task: its questions, what was answered, and what a report of it lacks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.datastructures import FormData

REACHED: Final = (
    ("patient", "Patient"),
    ("caregiver", "Caregiver"),
    ("voicemail", "Voicemail"),
    ("no-answer", "No answer"),
    ("wrong-number", "Wrong number"),
    ("bot", "Machine answered"),
)
OUTCOMES: Final = (
    ("ok", "Done"),
    ("declined_followup", "Declined by the patient"),
    ("needs_escalation", "Done, needs a clinician"),
)
NONE, OTHER = "none", "other"
_YES_NO: Final = (("yes", "Yes"), ("no", "No"))
# The six parts; which of them a policy asks for, it says (ruling 23).
QUESTIONS: Final[dict[str, tuple[str, tuple[tuple[str, str], ...]]]] = {
    "understanding": (
        "Understands why admitted",
        (("yes", "Yes"), ("partly", "Partly"), ("no", "No")),
    ),
    "medicines": ("Has the medicines", _YES_NO),
    "symptoms": ("Symptoms", ((NONE, "None"),)),
    "appointment": ("Knows the next appointment", _YES_NO),
    "help_at_home": ("Has help at home", _YES_NO),
    "education_given": ("Education given", _YES_NO),
}
SYMPTOMS: Final = {
    "chest-pain": "Chest pain",
    "breathless": "Short of breath",
    "bleeding": "Bleeding",
    "confused": "Confused",
    "worse": "Worse than at discharge",
}
# How a missing answer is called.
SHORT: Final = {
    "understanding": "understanding",
    "medicines": "medicines",
    "symptoms": "symptoms",
    "appointment": "appointment",
    "help_at_home": "help at home",
    "education_given": "education given",
}
NUMBERS: Final = ("No", "One", "Two", "Three", "Four", "Five", "Six")
CALLS: Final = frozenset({"CALL_48H"})
NOTE_MAX: Final = 4000


@dataclass(frozen=True, slots=True)
class Question:
    """One part of the script."""

    name: str
    text: str
    choices: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Said:
    """What was typed and chosen, as it stands in the form."""

    reached: str = ""
    outcome: str = ""
    note: str = ""
    appointment: str = ""
    answers: dict[str, str] = field(default_factory=dict)

    @property
    def typed(self) -> bool:
        """Whether somebody has said anything; the form itself begins with an outcome."""
        said = self.reached or self.note or self.appointment or self.outcome not in ("", "ok")
        return bool(said or self.answers)

    @property
    def symptoms(self) -> list[str]:
        """All that were chosen."""
        return [one for one in self.answers.get("symptoms", "").split(",") if one]

    def plain(self) -> dict[str, Any]:
        """As a draft is kept."""
        return {
            "reached": self.reached,
            "outcome": self.outcome,
            "note": self.note,
            "appointment": self.appointment,
            "answers": self.answers,
        }


def from_form(form: FormData) -> Said:
    def text(name: str) -> str:
        value = form.get(name, "")
        return value.strip() if isinstance(value, str) else ""

    def answer(name: str) -> str:
        if name != "symptoms":
            return text(f"answer-{name}")
        # There may be several at once.
        chosen = [one.strip() for one in form.getlist("answer-symptoms") if isinstance(one, str)]
        return ",".join(one for one in chosen if one)

    return Said(
        reached=text("reached"),
        outcome=text("outcome"),
        note=text("note")[:NOTE_MAX],
        appointment=text("appointment")[:128],
        answers={name: found for name in QUESTIONS if (found := answer(name)[:200])},
    )


def from_draft(draft: Mapping[str, Any]) -> Said:
    answers = draft.get("answers") or {}
    return Said(
        reached=str(draft.get("reached", "")),
        outcome=str(draft.get("outcome", "")),
        note=str(draft.get("note", "")),
        appointment=str(draft.get("appointment", "")),
        answers={str(name): str(value) for name, value in answers.items()},
    )


def questions(policy: Mapping[str, Any]) -> list[Question]:
    """The script that *policy* asks for."""
    calls = policy.get("calls") or {}
    flags = sorted(calls.get("red_flag_symptoms") or (), key=_flag_order)
    found = []
    for name in calls.get("answers") or ():
        text, choices = QUESTIONS.get(name, (name.replace("_", " ").capitalize(), _YES_NO))
        if name == "symptoms":
            named = [(one, SYMPTOMS.get(one, one.replace("-", " ").capitalize())) for one in flags]
            choices = (*choices, *named, (OTHER, "Other"))
        found.append(Question(name, text, choices))
    return found


def in_words(sent: Mapping[str, Any], policy: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a completion said, as the form asks it."""
    asked = [
        ("Reached", sent.get("reached"), REACHED),
        *(
            (one.text, (sent.get("answers") or {}).get(one.name), one.choices)
            for one in questions(policy)
        ),
        ("Outcome", sent.get("outcome"), OUTCOMES),
        ("Note", sent.get("note"), ()),
    ]
    return [
        (what, ", ".join(dict(choices).get(one, one) for one in str(value).split(",")))
        if choices
        else (what, str(value))
        for what, value, choices in asked
        if value
    ]


def _flag_order(symptom: str) -> tuple[int, str]:
    known = list(SYMPTOMS)
    return (known.index(symptom) if symptom in known else len(known), symptom)


def has_red_flag(said: Said, policy: Mapping[str, Any]) -> bool:
    """Whether an answer asks for a clinician; the deciding process judges the same."""
    flags = _red_flags(policy)
    return bool(flags & set(said.symptoms)) or said.answers.get("medicines") == "no"


def _red_flags(policy: Mapping[str, Any]) -> set[str]:
    return set((policy.get("calls") or {}).get("red_flag_symptoms") or ())


def contradiction(said: Said) -> tuple[str, str] | None:
    """The field that does not go with the others, and why."""
    if NONE in said.symptoms and len(said.symptoms) > 1:
        return "q-symptoms", "None and another symptom do not go together."
    if OTHER in said.symptoms and not said.note:
        return "note", "Write into the note which other symptom it is."
    return None


def told(said: Said, policy: Mapping[str, Any]) -> tuple[dict[str, str], str]:
    """
    Answers and note as they are sent.

    A rule judges one symptom (ruling 23): of several the one that asks for a clinician; the note
    names them all.
    """
    answers = {name: value for name, value in said.answers.items() if value}
    if len(said.symptoms) < 2:
        return answers, said.note
    grave = _red_flags(policy)
    answers["symptoms"] = next((one for one in said.symptoms if one in grave), said.symptoms[0])
    named = ", ".join(
        SYMPTOMS.get(one, one.replace("-", " ").capitalize()) for one in said.symptoms
    )
    return answers, f"Symptoms: {named}. {said.note}".strip()[:NOTE_MAX]


def shortfall(said: Said, asked: Sequence[Question], policy: Mapping[str, Any]) -> str | None:
    """Why a completed call would count as an attempt only; ``None``: it would not."""
    reached = (policy.get("calls") or {}).get("reached") or ()
    if said.reached not in reached:
        return "Nobody was reached. This counts as an attempt."
    if said.outcome not in ("", "ok"):
        return None
    missing = [SHORT.get(one.name, one.name) for one in asked if not said.answers.get(one.name)]
    if not missing:
        return None
    count = NUMBERS[len(missing)] if len(missing) < len(NUMBERS) else str(len(missing))
    verb = "answer is" if len(missing) == 1 else "answers are"
    return f"{count} {verb} missing: {', '.join(missing)}. This counts as an attempt."
