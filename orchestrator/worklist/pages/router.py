"""All pages, by their addresses."""

from fastapi import APIRouter

from orchestrator.worklist.pages import (
    acts,
    assets,
    break_glass,
    demo,
    gaps,
    landing,
    live_work,
    menu,
    patient,
    provider,
    search,
    sign_in,
    work,
)
from orchestrator.worklist.pages.guard import PageRoute

MODULES = (
    assets,
    sign_in,
    provider,
    break_glass,
    landing,
    demo,
    menu,
    work,
    live_work,
    acts,
    gaps,
    patient,
    search,
)


def router() -> APIRouter:
    """The pages; programs read the API, so they are not in its document."""
    made = APIRouter(route_class=PageRoute, include_in_schema=False)
    for module in MODULES:
        for path, methods, endpoint in module.ROUTES:
            made.add_api_route(path, endpoint, methods=methods, response_model=None)
    return made
