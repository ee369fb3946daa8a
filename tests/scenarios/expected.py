"""What a story says must stand: its `then` cells, applied one after the other.

The clauses, several in a cell separated by `;`:

    nothing
    stay V1 open                            transition V1 deferred, flag TRANSFER_EXPECTED
    issue CALL_48H V1 due Thu 10-08 14:00 EDT, contact by end of Thu 10-08 EDT
    CALL_48H V1 accepted by nurse1          core V1 cancelled READMITTED
    open NO_PCP_APPOINTMENT V1 high         open OVERLAPPING_STAYS(M1) low
    record READMISSION_30D(V2) V1 info, hours=20      (a fact: status `recorded`)
    close NO_PCP_APPOINTMENT V1 RESOLVED    change TASK_OVERDUE(CALL_48H) V1 high
    suppress NO_PCP_APPOINTMENT V1          notice to nurse1 about CALL_48H V1
    refused terminal                        rejected bad-time
    episode V1 M1                           unsettled stay V1
    gone stay V1                            (joined to another visit number)

`V1/2` is the second transition of visit V1; `core` is the three core tasks.  A field set to `?`,
and a thing called `unsettled`, are not compared from then on, and the line says why.  What a clause
leaves out has the default of the contract: a new task is `requested`, `routine`, not overdue.
"""

from dataclasses import dataclass, field
from datetime import datetime

from tests.scenarios.expected_gaps import edit_gap, new_gap, read_gap_clause
from tests.scenarios.expected_stays import edit_stay, edit_transition, new_stay, new_transition
from tests.scenarios.expected_tasks import CORE, Fields, edit_task, new_task
from tests.scenarios.happenings import Event
from tests.scenarios.identity import transition_id
from tests.scenarios.instants import StoryError


@dataclass(slots=True)
class Expected:
    """Everything that must stand, by readable key: `task CALL_48H V1`, `gap UNREACHABLE V1`."""

    zones: dict[str, str]  # facility -> zone
    things: dict[str, Fields] = field(default_factory=dict)
    transitions: dict[str, str] = field(default_factory=dict)  # transition id -> its name here
    notices: list[tuple[datetime, str, str]] = field(default_factory=list)  # at, to, task
    refused: list[str] = field(default_factory=list)  # reasons, of commands and of events
    episodes: list[list[str]] = field(default_factory=list)  # those a story names
    unsettled: set[str] = field(default_factory=set)  # keys that are not compared at all

    def apply(self, clauses: tuple[str, ...], at: datetime, events: dict[str, Event]) -> None:
        """
        Apply the clauses of one row.

        Args:
            clauses: As written.
            at: The row's instant: when we knew.
            events: The row's event by its visit and under ""; those so far by id.

        Raises:
            StoryError: A clause means nothing, or speaks of what no clause has created.
        """
        for clause in clauses:
            try:
                _Clause(self, at, events).apply(clause)
            except (StoryError, ValueError, KeyError, IndexError) as error:
                raise StoryError(f"clause {clause!r}: {error}") from error


@dataclass(slots=True)
class _Clause:
    state: Expected
    at: datetime
    events: dict[str, Event]

    def apply(self, clause: str) -> None:
        head, *edits = [part.strip() for part in clause.split(",")]
        words = head.split()
        match words[0]:
            case "nothing":
                pass
            case "unsettled":
                self._leave(" ".join(words[1:]))
            case "gone":
                del self.state.things[" ".join(words[1:])]
            case "stay":
                self._stay(words[1], [" ".join(words[2:]), *edits])
            case "transition":
                self._transition(words[1], [" ".join(words[2:]), *edits])
            case "issue":
                self._issue(words[1], words[2], [" ".join(words[3:]), *edits])
            case "open" | "record" | "close" | "change" | "suppress":
                self._gap(words[0], words[1:], edits)
            case "notice":
                (about,) = self._tasks(words[4], words[5])
                self.state.notices.append((self.at, words[2], about))
            case "refused" | "rejected":
                self.state.refused.append(words[1])
            case "episode":
                self.state.episodes.append(words[1:])
            case _:
                for key in self._tasks(words[0], words[1]):
                    edit_task(self.state.things[key], [" ".join(words[2:]), *edits], self.at)

    def _event(self, name: str) -> Event:
        return self.events.get(name.partition("/")[0]) or self.events[""]

    def _leave(self, key: str) -> None:
        self.state.unsettled.add(key)
        self.state.things.pop(key, None)

    def _tasks(self, kinds: str, transition: str) -> list[str]:
        kinds = "+".join(CORE) if kinds == "core" else kinds
        keys = [f"task {kind} {transition}" for kind in kinds.split("+")]
        missing = [key for key in keys if key not in self.state.things]
        if missing:
            raise StoryError(f"never issued: {missing}")
        return keys

    def _stay(self, visit: str, edits: list[str]) -> None:
        event = self._event(visit)
        stay = self.state.things.get(f"stay {visit}")
        if stay is None:
            stay = self.state.things[f"stay {visit}"] = new_stay(event)
        edit_stay(stay, edits, event)

    def _transition(self, name: str, edits: list[str]) -> None:
        thing = self.state.things.get(f"transition {name}")
        if thing is None:
            named = [edit.removeprefix("known by ") for edit in edits if "known by " in edit]
            event = self.events[named[0]] if named else self._event(name)
            zone = self.state.zones[event["facility"]]
            thing = self.state.things[f"transition {name}"] = new_transition(event, self.at, zone)
            if (identity := transition_id(event)) in self.state.transitions:
                raise StoryError(f"{name} has the id of {self.state.transitions[identity]}")
            self.state.transitions[identity] = name
        edit_transition(thing, edits, self.at, self.state.zones[thing["facility"]])

    def _issue(self, kinds: str, transition: str, edits: list[str]) -> None:
        self._must_exist(transition)
        for kind in kinds.split("+"):
            key = f"task {kind} {transition}"
            if key in self.state.things:
                raise StoryError(f"{key} was issued before")
            self.state.things[key] = new_task(kind.partition("(")[0], edits, self.at)

    def _gap(self, verb: str, words: list[str], edits: list[str]) -> None:
        clause = read_gap_clause(verb, words)
        if clause.transition != "-":
            self._must_exist(clause.transition)
        for key in clause.keys:
            if key not in self.state.things:
                if verb not in {"open", "record"}:
                    raise StoryError(f"never opened: {key}")
                self.state.things[key] = new_gap()
            edit_gap(self.state.things[key], clause, edits, self.at)

    def _must_exist(self, transition: str) -> None:
        if transition not in self.state.transitions.values():
            raise StoryError(f"no transition {transition}")
