"""Named places at which a test may end, or hold up, this process.

``FAILPOINTS="decide.state=kill@3,intake.begun=sleep:0.2@1"``: at the third pass of
``decide.state`` the process kills itself with SIGKILL, at the first of ``intake.begun`` it
sleeps.  ``kill:0.0004`` kills that many seconds *after* the place was passed, from another
thread, and so inside whatever follows it: a commit's fsync, for one.  Without ``@N`` it is each
pass.  Without the variable every place is a function that does nothing.

The kill points of reliability.md §2.3 in this runtime (``POINTS`` has one line per place):

====  ================================================  ==========================================
K     written for                                       here
====  ================================================  ==========================================
K0    after poll, before decode                         ``intake.read``
K1    after decode, before state read                   ``intake.decoded`` ``intake.begun``
K2    state computed, nothing written                   ``decide.processed``
K3    ledger and state written locally, no produce      ``decide.state``
K4    task produce in flight                            ``publish.commit`` ``publish.committed``:
                                                        a sender that does not know whether its
                                                        records landed, and sends them again
K5    some of a batch produced                          ``decide.some`` ``intake.appended``
K6    all produced, before the offset                   ``decide.outputs`` ``intake.offsets``
K7    offset commit in flight                           ``decide.commit`` ``intake.commit`` (with
                                                        ``kill:S`` inside the fsync)
K8    commit done, before bookkeeping                   ``decide.committed`` ``intake.committed``
K11   timer scan: decided, not written                  ``clock.due``
K12   timer scan: written, cursor not moved             ``clock.appended``
K14   inside recovery                                   ``start.opened`` ``start.checked``
K15   SIGTERM drain, then SIGKILL                       ``stop.draining``
K19   during schema migration                           ``schema.creating`` (there is one schema
                                                        so far)
====  ================================================  ==========================================

Not here: K9, K10 (the projector of the read model is another part), K13 (there is no group and
no rebalance in one process), K16, K17 (MLLP) and K18 (API) belong to the gateway and the
worklist.  Beyond the list: ``prune.deleted``, in the middle of the removal of old records.
"""

import os
import signal
import threading
import time
from typing import Final, NamedTuple

VARIABLE: Final = "FAILPOINTS"
POINTS: Final = {
    "intake.read": "K0",
    "intake.decoded": "K1",
    "intake.begun": "K1",
    "intake.appended": "K5",
    "intake.offsets": "K6",
    "intake.commit": "K7",
    "intake.committed": "K8",
    "decide.processed": "K2",
    "decide.state": "K3",
    "decide.some": "K5",
    "decide.outputs": "K6",
    "decide.commit": "K7",
    "decide.committed": "K8",
    "clock.due": "K11",
    "clock.appended": "K12",
    "start.opened": "K14",
    "start.checked": "K14",
    "stop.draining": "K15",
    "schema.creating": "K19",
    "publish.commit": "K4",
    "publish.committed": "K4",
    "prune.deleted": "-",
}


class Plan(NamedTuple):
    action: str  # kill or sleep
    seconds: float
    at: int | None  # which pass; None: each


class FailpointError(ValueError):
    """``FAILPOINTS`` names no place or no action; doing nothing would look like a pass."""


def parse(text: str) -> dict[str, Plan]:
    """Read the value of the variable."""
    plans = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, what = item.partition("=")
        what, _, at = what.partition("@")
        action, _, seconds = what.partition(":")
        if name not in POINTS or action not in {"kill", "sleep"} or (at and not at.isdigit()):
            raise FailpointError(f"{VARIABLE}: cannot read {item!r}")
        plans[name] = Plan(action, float(seconds or 0), int(at) if at else None)
    return plans


_plans: Final = parse(os.environ.get(VARIABLE, ""))
_passes: Final = dict.fromkeys(POINTS, 0)


def _pass(name: str) -> None:
    _passes[name] += 1
    plan = _plans.get(name)
    if plan is None or (plan.at is not None and plan.at != _passes[name]):
        return
    if plan.action == "sleep":
        time.sleep(plan.seconds)
    elif plan.seconds:
        threading.Thread(target=_kill_after, args=(plan.seconds,), daemon=True).start()
    else:
        _kill_after(0)


def _kill_after(seconds: float) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


def _nothing(name: str) -> None:
    """What a place is when no test asks for anything."""


hit: Final = _pass if _plans else _nothing
