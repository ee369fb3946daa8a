"""Everything that answering a request needs, put together once."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.worklist import edge
from orchestrator.worklist.access.modes import Access
from orchestrator.worklist.access.store import AccessStore
from orchestrator.worklist.access.tokens import Authenticator
from orchestrator.worklist.audit import Audit
from orchestrator.worklist.demo import Demo
from orchestrator.worklist.hub import Hub
from orchestrator.worklist.jobs import Jobs
from orchestrator.worklist.limits import Limits
from orchestrator.worklist.log.feed import AUDIT, Places, Sender
from orchestrator.worklist.log.trial import Trial
from orchestrator.worklist.model.freshness import Freshness, Now
from orchestrator.worklist.model.projector import CAUGHT_UP, Projector
from orchestrator.worklist.model.reader import Reader
from orchestrator.worklist.pages.store import PagesStore
from orchestrator.worklist.watch import Watch
from schemas.facilities import Facilities

if TYPE_CHECKING:
    from orchestrator.worklist.acting import Acting
    from orchestrator.worklist.api.stream import Streams
    from orchestrator.worklist.retrying import Retrying


@dataclass(slots=True)
class Site:
    """
    One worklist.

    Attributes:
        log_now: The log's time: what tasks are due by.
        key_of: The patient key of an identifier.
        pages: What the pages remember per person.
        policies: The versions of the rules as plain data, ascending by when they hold.
        action_wait: Seconds that an action waits for its change.
        facilities: Whose zones and holidays pages speak of.
        trial: Tries out other rules on past days; ``None``: cannot be done here.
        watch: Who looks at the lag; ``None``: nobody does here.
        demo: What a visitor of the demo may do; ``None``: this is none.
        places: Single records of the log, where a dead letter names one.
        jobs: What runs longer than a request.
        closing: Set when the server goes down: live streams end.
    """

    reader: Reader
    projector: Projector
    freshness: Freshness
    sender: Sender
    places: Places
    hub: Hub
    audit: Audit
    store: AccessStore
    authenticator: Authenticator
    access: Access
    limits: Limits
    log_now: Callable[[], int]
    key_of: Callable[[str], str]
    facilities: Facilities
    pages: PagesStore
    policies: Sequence[dict[str, Any]] = ()
    action_wait: float = 5.0
    trial: Trial | None = None
    watch: Watch | None = None
    demo: Demo | None = None
    acting: "Acting" = field(init=False)
    streams: "Streams" = field(init=False)
    retrying: "Retrying" = field(init=False)
    jobs: Jobs = field(default_factory=Jobs)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def now(self) -> Now:
        return Now(self.log_now(), edge.elapsed())

    @property
    def knows_deeds(self) -> bool:
        """Whether the rows tell what was done, but for the last moments."""
        left = self.projector.ahead
        return left is not None and left.get(AUDIT, 0) <= CAUGHT_UP

    @property
    def smart(self) -> Mapping[str, Any] | None:
        """What the identity provider tells of itself, as far as it has been asked."""
        return None if self.access.provider is None else self.access.provider.known()
