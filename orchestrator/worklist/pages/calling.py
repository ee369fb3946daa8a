"""When and how a patient may be called: their hours, language and numbers, as they were told.

Senders write hours as they like (`17:00-20:00`, `after 17:00`, a from and a to).  What cannot be
read is shown as it was sent, and the usual window holds.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from markupsafe import Markup

# No calls before 8 a.m. or after 9 p.m. at the called party's: 47 CFR 64.1200(c)(1).
USUAL: Final = (8 * 60, 21 * 60)
_NUMBER: Final = re.compile(r"\+?\(?\d[\d ().-]{5,}\d")
_TIME: Final = re.compile(r"(\d{1,2})(?::(\d\d))?\s*([ap]m)?", re.IGNORECASE)

LANGUAGES: Final = {
    "ar": "Arabic",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "hi": "Hindi",
    "ht": "Haitian Creole",
    "it": "Italian",
    "ko": "Korean",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "so": "Somali",
    "tl": "Tagalog",
    "vi": "Vietnamese",
    "zh": "Chinese",
}


class Person(NamedTuple):
    """Whom to call."""

    name: str
    age: int | None
    language: str | None
    phones: tuple[str, ...]
    caregivers: tuple[str, ...]
    hours: str | None
    born: str | None = None  # to be asked for, before anything is told


def person(contact: Mapping[str, Any] | None, fallback: str, today: date) -> Person:
    """The contact of a patient view in words; *fallback* where no name is known."""
    if contact is None:
        return Person(fallback, None, None, (), (), None)
    preferences = contact.get("preferences") or {}
    return Person(
        name_words(contact.get("name")) or fallback,
        age(contact.get("birth_date"), today),
        language(preferences.get("language") or contact.get("language")),
        tuple(filter(None, map(phone, contact.get("phones") or ()))),
        tuple(filter(None, map(caregiver, contact.get("caregivers") or ()))),
        hours_words(preferences.get("hours")),
        born(contact.get("birth_date")),
    )


def born(birth_date: Any) -> str | None:
    """``1 Feb 1950``; what is no whole date stands as it was sent."""
    if not isinstance(birth_date, str) or not birth_date:
        return None
    try:
        day = date.fromisoformat(birth_date)
    except ValueError:
        return birth_date
    return f"{day.day} {day:%b %Y}"


def name_words(name: Any) -> str | None:
    """``Ana Maria Lopez``, however the sender wrote it."""
    if isinstance(name, str):
        return name.strip() or None
    if not isinstance(name, Mapping):
        return None
    if isinstance(text := name.get("text"), str) and text.strip():
        return text.strip()
    given = name.get("given")
    parts = [*(given if isinstance(given, list) else [given]), name.get("family")]
    return " ".join(part for part in parts if isinstance(part, str) and part) or None


def age(birth_date: Any, today: date) -> int | None:
    """Whole years; of a birth year alone, as if born on its last day."""
    if not isinstance(birth_date, str):
        return None
    year, _, rest = birth_date.partition("-")
    month, _, day = rest.partition("-")
    try:
        born = (int(year), int(month or 12), int(day or 31))
    except ValueError:
        return None
    return today.year - born[0] - ((today.month, today.day) < born[1:])


def language(code: Any) -> str | None:
    if isinstance(code, Mapping):
        code = code.get("text") or code.get("code")
    if not isinstance(code, str) or not code:
        return None
    return LANGUAGES.get(code.split("-", 1)[0].lower(), code)


def phone(one: Any) -> str | None:
    if isinstance(one, Mapping):
        number = one.get("number") or one.get("value") or one.get("phone")
        use = one.get("use")
        if not isinstance(number, str):
            return None
        return f"{number} ({use})" if isinstance(use, str) and use else number
    return one if isinstance(one, str) and one else None


def dial(text: str) -> Markup:
    """*text*, its telephone number a link that a telephone understands (RFC 3966)."""
    found = _NUMBER.search(text)
    if found is None:
        return Markup.escape(text)
    number = "".join(char for char in found[0] if char.isdigit() or char == "+")
    link = Markup('<a href="tel:{}">{}</a>').format(number, found[0])
    return Markup("{}{}{}").format(text[: found.start()], link, text[found.end() :])


def provider_words(said: Any) -> str | None:
    """``Dr Hazel, West Clinic, 202-555-0150``; nothing where only that there is one is known."""
    if not isinstance(said, Mapping):
        return None
    parts = [name_words(said.get("name")), said.get("organization"), phone(said.get("phone"))]
    return ", ".join(part for part in parts if isinstance(part, str) and part) or None


def caregiver(one: Any) -> str | None:
    if isinstance(one, Mapping):
        who = one.get("relation") or name_words(one.get("name"))
        named = name_words(one.get("name"))
        number = phone(one.get("phone") or one.get("number"))
        words = [str(who)] if who else []
        if named and named != who:
            words.append(named)
        return ", ".join([*words, *([number] if number else [])]) or None
    return one if isinstance(one, str) and one else None


def hours_words(hours: Any) -> str | None:
    """The patient's hours as they were said."""
    if isinstance(hours, str):
        return hours or None
    if isinstance(hours, Mapping):
        begin, end = _ends(hours)
        if begin and end:
            return f"{begin} to {end}"
        return f"after {begin}" if begin else f"before {end}" if end else None
    if isinstance(hours, list):
        return ", ".join(filter(None, map(hours_words, hours))) or None
    return None


def _ends(hours: Mapping[str, Any]) -> tuple[str | None, str | None]:
    found = []
    for names in (("from", "start", "after"), ("to", "end", "before", "until")):
        said = next((hours[name] for name in names if isinstance(hours.get(name), str)), None)
        found.append(said)
    return found[0], found[1]


def is_open(hours: Any, at: datetime) -> bool:
    """Whether a call may be made at the local time *at*."""
    windows = _windows(hours) or [USUAL]
    minute = at.hour * 60 + at.minute
    return any(begin <= minute < end for begin, end in windows)


def _windows(hours: Any) -> list[tuple[int, int]]:
    if isinstance(hours, list):
        return [window for one in hours for window in _windows(one)]
    if isinstance(hours, Mapping):
        begin, end = _ends(hours)
        start, stop = _minute(begin or ""), _minute(end or "")
        if start is None and stop is None:
            return []
        return [(USUAL[0] if start is None else start, USUAL[1] if stop is None else stop)]
    if not isinstance(hours, str):
        return []
    found = [minute for match in _TIME.finditer(hours) if (minute := _of(match)) is not None]
    text = hours.casefold()
    if len(found) == 1 and "after" in text:
        return [(found[0], USUAL[1])]
    if len(found) == 1 and ("before" in text or "until" in text):
        return [(USUAL[0], found[0])]
    if len(found) >= 2 and found[0] < found[1]:
        return [(found[0], found[1])]
    return []


def _minute(text: str) -> int | None:
    match = _TIME.search(text)
    return None if match is None else _of(match)


def _of(match: re.Match[str]) -> int | None:
    hour, minute, half = int(match[1]), int(match[2] or 0), (match[3] or "").lower()
    if half == "pm" and hour < 12:
        hour += 12
    elif half == "am" and hour == 12:
        hour = 0
    return hour * 60 + minute if hour <= 24 and minute < 60 else None
