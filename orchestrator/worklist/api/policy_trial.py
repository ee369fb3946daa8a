"""``/policy/what-if``: what the tasks of past discharges would have been under another policy."""

from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import Field

from orchestrator.worklist import what_if
from orchestrator.worklist.api.bodies import Body
from orchestrator.worklist.api.guard import CallOf, rule
from orchestrator.worklist.api.jobs import started
from orchestrator.worklist.api.queries import Query as NoQuery
from orchestrator.worklist.problems import Problem
from orchestrator.worklist.reading_policy import read_policy
from schemas.yaml_node import FieldFault

Day = Annotated[
    str,
    Field(
        min_length=1,
        max_length=40,
        description="A day, 2026-10-06, of the default facility's zone; or an instant.",
    ),
]


class WhatIf(Body):
    """A policy file, and on whose discharges to try it."""

    policy: str | dict[str, Any] | list[dict[str, Any]] = Field(
        description="The text of a policy file, or what it holds as JSON; its newest version is"
        " tried, as if it had come into force at `from`."
    )
    since: Day = Field(alias="from")
    until: Day = Field(alias="to")


@rule("what-if", "search", limit="actions")
async def what_if_under(call: CallOf, body: WhatIf, query: Annotated[NoQuery, Query()]) -> Response:
    """
    Decide past discharges anew under another policy, compare, publish nothing.

    The job's `result`: how many `tasks` are `same`, due `earlier` or `later`, `new`, `gone` or
    `changed` otherwise; how many `gaps`; `differing` in all, and in `items` the first hundred of
    each way, with what each `was` and would be `now` (`due_at` null: no such task) and both
    reasons.  `journal_from` is as far back as anything is known.
    """
    del query
    zone = call.site.facilities.get("default").zone
    try:
        days = what_if.days_of(body.since, body.until, zone)
        proposed = await read_policy(body.policy)
    except what_if.BadDay as fault:
        raise _refused("/" + fault.field, str(fault)) from None
    except FieldFault as fault:
        raise _refused("/policy", str(fault), line=fault.line, field=fault.field) from None
    call.account.query_hash = call.site.key_of(f"what-if|{body.model_dump_json()}")
    return started(what_if.begin(call.site, call.who, proposed, days, call.request_id))


def _refused(pointer: str, detail: str, **more: Any) -> Problem:
    place = {name: str(value) for name, value in more.items() if value}
    error = {"pointer": f"#{pointer}", "code": "value", "detail": detail, **place}
    return Problem("unprocessable", detail, errors=[error])
