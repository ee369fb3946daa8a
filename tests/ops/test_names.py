"""The names are a contract: dashboards and alerts of others are written against them."""

from typing import Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.ops import names

# interfaces.md §5, the rows of what exists by now, copied by hand: metric, labels.
PROMISED: Final = """
g kafka_consumergroup_group_offset cluster_name,group,topic,partition
g kafka_consumergroup_group_lag cluster_name,group,topic,partition
g kafka_consumergroup_group_lag_seconds cluster_name,group,topic,partition
g kafka_consumergroup_group_max_lag cluster_name,group
g kafka_consumergroup_group_max_lag_seconds cluster_name,group
g kafka_consumergroup_group_sum_lag cluster_name,group
g kafka_consumergroup_group_topic_sum_lag cluster_name,group,topic
g kafka_partition_latest_offset cluster_name,topic,partition
g kafka_partition_earliest_offset cluster_name,topic,partition
g care_lag_sample_age_seconds
g care_stream_clock_age_seconds partition
g care_stream_clock_held_seconds partition,topic
g care_stream_commit_age_seconds partition
g care_stream_partitions_owned
g care_stream_recovery_progress_ratio
c care_stream_records_total topic,lane,result
c care_stream_late_records_total topic
c care_stream_publish_errors_total topic
c care_stream_rebalances_total
c care_stream_clock_jumps_total
h care_stream_batch_seconds
h care_stream_recovery_seconds
g care_deadlines_backlog
g care_deadlines_held cause
h care_deadline_fire_delay_seconds kind
c care_deadlines_fired_total kind
c care_deadlines_early_total
h care_event_to_task_seconds stage,lane
c care_task_changes_total kind,change
c care_task_retractions_total kind,reason
c care_gap_changes_total code,change
c care_dead_letters_total reason,stage,topic
g care_build_info version,runtime,policy_version
"""
# Of issue 5, beside the contract: patients who are handed over between partitions.
PROMISED_TOO: Final = """
g care_identity_handovers
g care_identity_handover_age_seconds
g care_identity_conflicts
"""
# The worklist's own row, which `up` serves beside the runtime's.
WORKLIST: Final = """
c care_http_requests_total app,route,method,status
h care_http_request_seconds app,route,method
c care_worklist_actions_total action,result
h care_worklist_action_seconds action
c care_audit_records_total action
c care_audit_failures_total
c care_auth_failures_total cause
c care_break_glass_total
g care_worklist_projection_lag_records topic
g care_worklist_projection_age_seconds
g care_worklist_streams
g care_dead_letters_open reason
g care_dead_letter_oldest_seconds
c care_dead_letter_retries_total result
g care_tasks team,kind,status
g care_tasks_overdue team,kind,attribution
g care_gaps code,severity
g care_transitions status
g care_deadlines_pending kind
"""
KINDS: Final = {"g": "gauge", "c": "counter", "h": "histogram"}
SECONDS: Final = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0"]
MINUTES: Final = ["10.0", "30.0", "60.0", "300.0"]
DAYS: Final = ["3600.0", "21600.0", "86400.0", "259200.0", "604800.0"]


def promised(*rows: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    found = {}
    for line in "".join(rows).split("\n"):
        if line:
            kind, name, *labels = line.split()
            found[name] = (KINDS[kind], tuple(labels[0].split(",")) if labels else ())
    return found


def assert_as_promised(text: str) -> set[str]:
    """Every series of an exposition has a promised name, kind, labels and buckets; the names."""
    known, seen = promised(PROMISED, PROMISED_TOO, WORKLIST), set()
    for family in text_string_to_metric_families(text):
        if family.name.startswith(("process_", "python_")):
            continue
        name = family.name + ("_total" if family.type == "counter" else "")
        kind, labels = known[name]
        assert family.type == kind, name
        seen.add(name)
        bounds: dict[tuple[tuple[str, str], ...], list[str]] = {}
        for sample in family.samples:
            bound = sample.labels.pop("le", None)
            assert set(sample.labels) == set(labels), sample
            if bound is not None:
                bounds.setdefault(tuple(sorted(sample.labels.items())), []).append(bound)
        longer = DAYS if name == "care_deadline_fire_delay_seconds" else []
        for found in bounds.values():
            assert found == [*SECONDS, *MINUTES, *longer, "+Inf"], name
    return seen


def test_names_kinds_and_labels_are_the_promised_ones() -> None:
    """One list in the code, one copied from the contract; they agree to the letter."""
    assert {n: (m.kind, m.labels) for n, m in names.METRICS.items()} == promised(
        PROMISED, PROMISED_TOO, WORKLIST
    )


@pytest.mark.parametrize("name", names.METRICS)
def test_each_metric_says_what_it_is(name: str) -> None:
    """In a sentence, and with a unit at its end where it has one (Prometheus' own rules)."""
    metric = names.METRICS[name]
    assert metric.help.endswith(".")
    assert name.endswith("_total") == (metric.kind == "counter")
    assert metric.kind != "histogram" or name.endswith("_seconds")
