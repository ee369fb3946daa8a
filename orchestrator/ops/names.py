"""Every metric that this version has: kind, labels, meaning (``interfaces.md`` §5).

The one list of them; what is exposed is made from it, so a name or a label cannot be misspelt in
one place only.  Labels are words of the configuration or of the contract, so that the number of
series does not grow with patients.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]


class Metric(NamedTuple):
    """One metric; a counter's name ends in ``_total``."""

    kind: Kind
    labels: tuple[str, ...]
    help: str


_AT: Final = ("cluster_name", "group", "topic", "partition")
_GROUP: Final = ("cluster_name", "group")
_PARTITION: Final = ("cluster_name", "topic", "partition")

# kafka-lag-exporter's names, which dashboards know.
LAG: Final[Mapping[str, Metric]] = {
    "kafka_consumergroup_group_offset": Metric("gauge", _AT, "Where the group goes on."),
    "kafka_consumergroup_group_lag": Metric("gauge", _AT, "Records the group has yet to read."),
    "kafka_consumergroup_group_lag_seconds": Metric(
        "gauge", _AT, "Age of the next record the group has to read."
    ),
    "kafka_consumergroup_group_max_lag": Metric("gauge", _GROUP, "Of its worst partition."),
    "kafka_consumergroup_group_max_lag_seconds": Metric("gauge", _GROUP, "Of its worst partition."),
    "kafka_consumergroup_group_sum_lag": Metric("gauge", _GROUP, "Of all its partitions."),
    "kafka_consumergroup_group_topic_sum_lag": Metric(
        "gauge", ("cluster_name", "group", "topic"), "Of all partitions of the topic."
    ),
    "kafka_partition_latest_offset": Metric("gauge", _PARTITION, "Of the next record."),
    "kafka_partition_earliest_offset": Metric("gauge", _PARTITION, "Of the first record kept."),
    "care_lag_sample_age_seconds": Metric("gauge", (), "Since the last look at offsets."),
}

_STREAM: Final[Mapping[str, Metric]] = {
    "care_stream_clock_age_seconds": Metric(
        "gauge", ("partition",), "The watermark: since the last clock of a journal partition."
    ),
    "care_stream_clock_held_seconds": Metric(
        "gauge", ("partition", "topic"), "How long clocks wait for this input."
    ),
    "care_stream_commit_age_seconds": Metric(
        "gauge", ("partition",), "Since the last commit of a journal partition."
    ),
    "care_stream_partitions_owned": Metric("gauge", (), "Journal partitions of this process."),
    "care_stream_recovery_progress_ratio": Metric("gauge", (), "Of the recovery going on."),
    "care_stream_records_total": Metric(
        "counter", ("topic", "lane", "result"), "Inputs by what became of them."
    ),
    "care_stream_late_records_total": Metric(
        "counter", ("topic",), "Events told more than an hour after the fact."
    ),
    "care_stream_publish_errors_total": Metric("counter", ("topic",), "Writes that failed."),
    "care_stream_rebalances_total": Metric("counter", (), "Assignments of partitions."),
    "care_stream_clock_jumps_total": Metric("counter", (), "The machine's time was moved."),
    "care_stream_batch_seconds": Metric("histogram", (), "A round, from read to committed."),
    "care_stream_recovery_seconds": Metric("histogram", (), "A recovery of state."),
}

_DEADLINES: Final[Mapping[str, Metric]] = {
    "care_deadlines_backlog": Metric("gauge", (), "Patients with a deadline due, not fired."),
    "care_deadlines_held": Metric("gauge", ("cause",), "Those that wait on purpose."),
    "care_deadline_fire_delay_seconds": Metric("histogram", ("kind",), "Fired minus due."),
    "care_deadlines_fired_total": Metric("counter", ("kind",), "Changes that a deadline made."),
    "care_deadlines_early_total": Metric("counter", (), "Fired before their instant: a bug."),
}

_WORK: Final[Mapping[str, Metric]] = {
    "care_event_to_task_seconds": Metric(
        "histogram", ("stage", "lane"), "From an event's receipt to its task changes."
    ),
    "care_task_changes_total": Metric("counter", ("kind", "change"), "Changes to tasks."),
    "care_task_retractions_total": Metric("counter", ("kind", "reason"), "Tasks taken back."),
    "care_gap_changes_total": Metric("counter", ("code", "change"), "Changes to gaps."),
    "care_dead_letters_total": Metric(
        "counter", ("reason", "stage", "topic"), "Records parked for somebody to look at."
    ),
}

_IDENTITY: Final[Mapping[str, Metric]] = {
    "care_identity_handovers": Metric("gauge", (), "Patients on their way to another partition."),
    "care_identity_handover_age_seconds": Metric("gauge", (), "Since the oldest of them began."),
    "care_identity_conflicts": Metric(
        "gauge", (), "Open contradictions about who is whom; the sum of all workers counts."
    ),
}

_HTTP: Final = ("app", "route", "method")
# Of the worklist: what it does, how far its read model is, and how much lies in that.
WORKLIST: Final[Mapping[str, Metric]] = {
    "care_http_requests_total": Metric("counter", (*_HTTP, "status"), "Requests answered."),
    "care_http_request_seconds": Metric(
        "histogram", _HTTP, "From the request's first byte to the answer's."
    ),
    "care_worklist_actions_total": Metric(
        "counter", ("action", "result"), "What became of actions."
    ),
    "care_worklist_action_seconds": Metric(
        "histogram", ("action",), "From an action to its answer."
    ),
    "care_worklist_projection_lag_records": Metric(
        "gauge", ("topic",), "Records that the read model has not taken in yet."
    ),
    "care_worklist_projection_age_seconds": Metric(
        "gauge", (), "How old what the read model tells may be."
    ),
    "care_worklist_streams": Metric("gauge", (), "Open live streams."),
    "care_audit_records_total": Metric("counter", ("action",), "Audit records written."),
    "care_audit_failures_total": Metric("counter", (), "Audit records that could not be written."),
    "care_auth_failures_total": Metric("counter", ("cause",), "Credentials refused."),
    "care_break_glass_total": Metric("counter", (), "Patients opened by break-glass."),
    "care_dead_letters_open": Metric(
        "gauge", ("reason",), "Dead letters that nobody has sent again or put away."
    ),
    "care_dead_letter_oldest_seconds": Metric("gauge", (), "Since the oldest of them came."),
    "care_dead_letter_retries_total": Metric(
        "counter", ("result",), "What became of dead letters that were sent again."
    ),
    "care_tasks": Metric("gauge", ("team", "kind", "status"), "Tasks."),
    "care_tasks_overdue": Metric(
        "gauge", ("team", "kind", "attribution"), "Open tasks that are overdue."
    ),
    "care_deadlines_pending": Metric("gauge", ("kind",), "Open tasks whose due time is to come."),
    "care_gaps": Metric("gauge", ("code", "severity"), "Open gaps."),
    "care_transitions": Metric("gauge", ("status",), "Transitions."),
}

BUILD: Final = "care_build_info"

METRICS: Final[Mapping[str, Metric]] = {
    **LAG,
    **_STREAM,
    **_DEADLINES,
    **_WORK,
    **_IDENTITY,
    **WORKLIST,
    BUILD: Metric("gauge", ("version", "runtime", "policy_version"), "1; its labels tell."),
}
NAMES: Final[Mapping[str, tuple[str, ...]]] = {name: one.labels for name, one in METRICS.items()}
