"""What every page has around it: tabs, search, freshness, menu; and how a template becomes a page.

Rendering knows nothing of the read model: a page gets what it shows as plain data.
"""

import gzip
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from orchestrator.worklist.access.roles import Permission
from orchestrator.worklist.api.answers import freshness
from orchestrator.worklist.instants import micros
from orchestrator.worklist.pages import assets, calling, wording
from orchestrator.worklist.pages.banner import FEED, banner_of
from orchestrator.worklist.pages.fresh import Fresh, fresh_words, silences
from orchestrator.worklist.pages.store import Around
from orchestrator.worklist.site import Site

if TYPE_CHECKING:
    from orchestrator.worklist.pages.guard import PageCall

PRODUCT: Final = "Care transitions"
MEDIA: Final = "text/html; charset=utf-8"
# Smaller ones are not worth the while.
ZIPPED_FROM: Final = 1024


class Tab(NamedTuple):
    """A page that the frame leads to, and who may open it."""

    path: str
    title: str
    permission: Permission
    key: str  # after `g`


TABS: Final = (
    Tab("/work", "My work", "tasks", "w"),
    Tab("/gaps", "Gaps", "gaps", "g"),
    Tab("/operations", "Operations", "operations", "o"),
    Tab("/dead-letters", "Dead letters", "dead-letters", "d"),
    Tab("/policy", "Policy", "policy", "p"),
    Tab("/audit", "Audit", "audit", "u"),
)


@cache
def templates() -> Environment:
    """The templates; what they are not given is a fault, never an empty string."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"dial": calling.dial, "kind_words": wording.kind, "flag_words": wording.flag}
    made.globals |= {
        "asset": assets.url,
        "product": PRODUCT,
        "kind_words": wording.kind,
        "flag_words": wording.flag,
        "due_words": wording.due,
        "moment_words": lambda text, zone, now=None: wording.moment(micros(text), zone, now),
        "length_words": wording.length,
        "micros": micros,
    }
    return made


async def page(
    request: Request,
    template: str,
    title: str,
    status: int = 200,
    *,
    fresh: Mapping[str, Any] | None = None,
    **data: Any,
) -> Response:
    """
    *template* as a page; see `rendered`.

    Args:
        fresh: What `answers.freshness` told of the rows that are shown; asked for where missing.
    """
    call = call_of(request)
    if fresh is None and call is not None and "self" in call.who.may:
        fresh = await call.site.reader.ask(lambda db: freshness(call, db))
    headers = data.pop("headers", None)
    if fresh is not None and call is not None:
        data["silent"] = await silences(call.site, fresh["silent_feeds"])
    return html(request, rendered(request, template, title, fresh=fresh, **data), status, headers)


def rendered(
    request: Request,
    template: str,
    title: str,
    *,
    fresh: Mapping[str, Any] | None = None,
    live: str | None = None,
    printable: bool = True,
    bundle: str = "app",
    silent: tuple[str, ...] = (),
    **data: Any,
) -> str:
    """
    The text of a page.

    Args:
        title: Never names a patient.
        live: The address of its live updates.
        printable: A list is printed by its own link alone, which is recorded as an export.
        bundle: ``app``, or ``chart`` with uPlot.
        silent: Sentences about feeds that are silent.
    """
    call = call_of(request)
    site: Site = request.app.state.site
    zone, now, path = zone_of(site, None), site.log_now(), request.url.path
    around = Around({"theme": "", "shortcuts": "on"}, None)
    if call is not None:
        around = site.pages.around(call.who.actor)
    shown: Fresh | None = None
    if fresh is not None:
        shown = fresh_words(fresh, site.freshness.age(site.now()), zone, now, silent)
    return (
        templates()
        .get_template(template)
        .render(
            title=title,
            call=call,
            who=None if call is None else call.who,
            csrf=None if call is None else call.csrf,
            tabs=tabs_of(call),
            # What a form is sent to lies one level below its page, and cannot be asked for.
            here=path if request.method == "GET" else path.rpartition("/")[0] or "/",
            fresh=shown,
            live=live,
            printable=printable,
            printed=wording.moment(now, zone),
            bundle=bundle,
            zone=zone,
            now=now,
            preferences=around.preferences,
            flash=around.flash,
            demo=banner_of(request, site, zone_of(site, FEED)),
            **data,
        )
    )


def call_of(request: Request) -> "PageCall | None":
    """The request of somebody who has signed in; ``None``: a page for anyone."""
    call = getattr(request.state, "call", None)
    return call if call is not None and call.session is not None else None


def fragment(template: str, macro: str, *values: Any, **data: Any) -> str:
    """The HTML of one macro: a row, a box, what live updates and htmx put in its place."""
    module = templates().get_template(template).module
    return str(getattr(module, macro)(*values, **data))


def html(
    request: Request, text: str, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """*text* as an answer, packed where the browser takes that."""
    body = text.encode()
    given = {"Vary": "Accept-Encoding", **(headers or {})}
    if len(body) >= ZIPPED_FROM and assets.takes_gzip(request):
        body = gzip.compress(body, 5, mtime=0)
        given["Content-Encoding"] = "gzip"
    return Response(body, status, given, media_type=MEDIA)


def tabs_of(call: "PageCall | None") -> list[Tab]:
    """The tabs that the role may open; others are absent, not grey."""
    if call is None:
        return []
    found: dict[str, Tab] = {}
    for tab in TABS:
        if tab.permission in call.who.may:
            found.setdefault(tab.path, tab)
    return list(found.values())


def zone_of(site: Site, facility: str | None) -> str:
    """The zone of *facility*'s times; of those that belong to none, the usual one."""
    return site.facilities.get(facility or "default").zone
