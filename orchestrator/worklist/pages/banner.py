"""What stands above every page of the demo: that nothing is real, its clock, and the buttons."""

from typing import TYPE_CHECKING, Final, NamedTuple

from fastapi import Request

from orchestrator.worklist.demo import PACES
from orchestrator.worklist.pages import wording
from orchestrator.worklist.site import Site

if TYPE_CHECKING:
    from orchestrator.worklist.pages.guard import PageCall

HIDDEN: Final = "care_demo_hidden"
# The hospital by whose clock the banner goes, and whose feed a visitor may silence.
FEED: Final = "GEN"


class Banner(NamedTuple):
    """What stands above every page of the demo."""

    now: str
    speed: str
    paces: tuple[tuple[int, bool], ...]
    paused: bool
    hidden: bool
    token: str
    slow: bool
    silent: tuple[str, ...]


def banner_of(request: Request, site: Site, zone: str) -> Banner | None:
    """The banner; ``None``: this is no demo."""
    demo = site.demo
    if demo is None:
        return None
    call: PageCall | None = getattr(request.state, "call", None)
    return Banner(
        now=wording.moment(site.log_now(), zone),
        speed="paused" if demo.paused else f"x{demo.pace}",
        paces=tuple((pace, not demo.paused and demo.pace == pace) for pace in PACES),
        paused=demo.paused,
        hidden=request.cookies.get(HIDDEN) == "1",
        # A page for anyone without a form has no token, and so no buttons.
        token="" if call is None or not call.word else call.csrf,
        slow=demo.slow,
        silent=tuple(sorted(demo.silent)),
    )
