"""The menu: how the pages look for one person, and the list of keys."""

from typing import Final

from fastapi import Response
from fastapi.responses import RedirectResponse

from orchestrator.worklist.api.guard import rule
from orchestrator.worklist.pages.frame import page
from orchestrator.worklist.pages.guard import PageCallOf, own_path

THEMES: Final = ("", "light", "dark")

# Key, what it does; every one has a visible button or link.
KEYS: Final = (
    ("j", "Next task"),
    ("k", "Previous task"),
    ("Enter", "Open the task"),
    ("a", "Accept"),
    ("r", "Release"),
    ("t", "Log an attempt"),
    ("c", "Complete"),
    ("n", "Write a note"),
    ("x", "Select"),
    ("e", "Got it, on a withdrawn task"),
    (".", "Show what is new"),
    ("/", "Find a patient"),
    ("f", "Filters"),
    ("g w", "Go to My work"),
    ("g g", "Go to Gaps"),
    ("g o", "Go to Operations"),
    ("Esc", "Close"),
    ("?", "All keys"),
)


@rule("self")
async def save(call: PageCallOf) -> Response:
    """Theme and shortcuts."""
    theme = str(call.form.get("theme", ""))
    actor, pages = call.who.actor, call.site.pages
    if theme in THEMES:
        pages.prefer(actor, "theme", theme)
    pages.prefer(actor, "shortcuts", "on" if call.form.get("shortcuts") == "on" else "off")
    return RedirectResponse(own_path(str(call.form.get("back", ""))) or "/", 303)


@rule("self")
async def keys(call: PageCallOf) -> Response:
    """All keys."""
    return await page(call.request, "keys.html", "Keys", keys=KEYS)


ROUTES: Final = (("/menu", ["POST"], save), ("/keys", ["GET"], keys))
