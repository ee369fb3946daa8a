"""All pages, by their addresses."""

from fastapi import APIRouter

from orchestrator.worklist.pages import (
    acts,
    assets,
    audit,
    break_glass,
    dead_letter,
    dead_letter_jobs,
    dead_letters,
    demo,
    docs,
    gaps,
    landing,
    live_task,
    live_work,
    menu,
    operations,
    patient,
    policy,
    policy_trial,
    provider,
    reporting,
    search,
    sign_in,
    task,
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
    docs,
    menu,
    work,
    live_task,
    live_work,
    task,
    reporting,
    acts,
    gaps,
    patient,
    search,
    operations,
    dead_letters,
    dead_letter_jobs,
    dead_letter,
    policy,
    policy_trial,
    audit,
)


def router() -> APIRouter:
    """The pages; programs read the API, so they are not in its document."""
    made = APIRouter(route_class=PageRoute, include_in_schema=False)
    for module in MODULES:
        for path, methods, endpoint in module.ROUTES:
            made.add_api_route(path, endpoint, methods=methods, response_model=None)
    return made
