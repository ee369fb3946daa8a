"""Bugs that need no broker to show: in reading, deciding, the embedded runtime, and in shells.

Those of the core that are quicker to plant in a running process are in
``tests/simulation/planted.py``; the matrix holds both.
"""

from typing import Final

from tests.planted.bug import Bug

SHELL: Final = "tests/kafka/test_intake_shell.py"

BUGS: Final = (
    Bug(
        name="NaN accepted",
        about="A laboratory value that is no number becomes a fact.",
        listed="NaN lab accepted",
        file="events/strict_json.py",
        right="        value = orjson.loads(raw)\n",
        wrong='        value = json.loads(raw) if b"NaN" in raw else orjson.loads(raw)\n',
        tests=(
            "tests/events/test_strict_json.py::test_json_that_means_two_things_or_none_is_malformed",
        ),
    ),
    Bug(
        name="last of two keys wins",
        about="An event with two subjects goes to the second patient.",
        file="events/strict_json.py",
        right="    if keys != len(_KEY_END.findall(raw)):\n",
        wrong="    if keys > len(_KEY_END.findall(raw)):\n",
        tests=(
            "tests/events/test_strict_json.py::test_json_that_means_two_things_or_none_is_malformed",
        ),
    ),
    Bug(
        name="oversize acknowledged, then dropped",
        about="A too large record is taken from the sender and is nowhere afterwards.",
        listed="oversize acked then dropped",
        file="orchestrator/stream/intake.py",
        right='        return Taken("parked", journal, [letter])\n',
        wrong='        kept = [] if reject.reason == "too-large" else [letter]\n'
        '        return Taken("parked", journal, kept)\n',
        tests=(
            "tests/stream/test_intake.py::test_a_too_large_record_is_kept_by_its_beginning",
            "tests/stream/test_reasons.py::test_the_dead_letter_keeps_the_original_bytes",
        ),
    ),
    Bug(
        name="exception text in the logs",
        about="The log quotes an exception, and with it the patient.",
        listed="log PHI in exception",
        file="orchestrator/log.py",
        right='        parts.append(f"{type(link).__name__} at',
        wrong='        parts.append(f"{type(link).__name__} {link} at',
        tests=(
            "tests/test_canaries.py::test_a_bug_of_ours_repeats_nothing_of_what_it_met",
            "tests/stream/test_canaries.py::test_no_bug_of_ours_lets_a_patient_out",
        ),
    ),
    Bug(
        name="medical record number as key",
        about="Whoever may list keys and metrics reads who is a patient.",
        file="orchestrator/stream/keys.py",
        right='    return hmac.digest(site_key, subject.encode(), "sha256").hex()[:KEY_LENGTH]\n',
        wrong='    return f"{site_key[:0].hex()}{subject.encode().hex():0<32}|{subject}"\n',
        tests=("tests/test_canaries.py::test_nothing_that_is_sent_and_decided_leaves_its_place",),
    ),
    Bug(
        name="worker forgets repeats after an hour",
        about="A message sent again the next day counts twice.",
        listed="dedupe window 1 h",
        file="orchestrator/stream/working.py",
        right="            if receipt - first <= REMEMBERED:\n",
        wrong="            if receipt - first <= HOUR:\n",
        tests=("tests/stream/test_repeats.py::test_a_copy_counts_only_after_thirty_days",),
    ),
    Bug(
        name="repeats told by content in the worker",
        about="Two discharges that say the same, a cancel between them, count once.",
        listed="dedupe by content only",
        file="orchestrator/stream/working.py",
        right='        name = event_hash(event["source"], event["id"])\n'
        "        content = content_hash(event)\n",
        wrong='        content = content_hash({**event, "id": 0, "time": 0, "recordedtime": 0})\n'
        '        name = event_hash(event["source"], content)\n',
        tests=(
            "tests/stream/test_reasons.py::test_other_content_under_a_known_id_is_parked_by_decide",
        ),
    ),
    Bug(
        name="a closed task is completed again",
        about="Two nurses complete one task: the second overwrites what the first documented.",
        listed="lost update on double complete",
        file="orchestrator/core/commands.py",
        right='    if task["status"] in TERMINAL and',
        wrong='    if task["status"] in TERMINAL - {"completed"} and',
        tests=("tests/core/test_commands.py::test_that_it_is_over_is_told_before_everything",),
    ),
    Bug(
        name="stale version accepted",
        about="A screen that was not reloaded overwrites what somebody did meanwhile.",
        listed="lost update on double complete",
        file="orchestrator/core/commands.py",
        right='command.if_version != task["version"]',
        wrong='command.if_version > task["version"]',
        tests=("tests/core/test_commands.py::test_each_refusal",),
    ),
    Bug(
        name="clock jump believed",
        about="A machine whose time runs ahead forty days tells of forty days of gaps.",
        listed="+40 d clock jump fires",
        file="orchestrator/stream/clock.py",
        right="        if abs(ahead) <= JUMP:\n",
        wrong="        if abs(ahead) > 0 or not ahead:\n",
        tests=(
            "tests/stream/test_timekeeper.py::test_a_jump_of_the_machines_time_fires_nothing",
            "tests/stream/test_clock.py::test_a_jump_of_more_than_a_minute_is_noticed",
        ),
    ),
    Bug(
        name="clock ahead of the backlog, embedded",
        about="A gap is told although the message that settles it lies in the log unread.",
        listed="gap fired without watermark",
        file="orchestrator/stream/timekeeper.py",
        right="        if not all_taken_in:\n",
        wrong="        if not all_taken_in and not due:\n",
        tests=("tests/stream/test_timekeeper.py::test_a_backlog_holds_the_clock",),
    ),
    Bug(
        name="outputs in a transaction of their own, embedded",
        about="Killed between the two, the same changes are published again.",
        listed="commit offset before produce",
        file="orchestrator/stream/store.py",
        right="        _write_state(transaction, rnd, partition)\n"
        '        hit("decide.state")\n'
        "        half = len(rnd.outputs) // 2\n"
        "        _publish(transaction, rnd.outputs[:half])\n",
        wrong='        hit("decide.state")\n'
        "        half = len(rnd.outputs) // 2\n"
        "        _publish(transaction, rnd.outputs[:half])\n"
        '        transaction.execute("COMMIT")\n'
        '        hit("decide.some")\n'
        '        transaction.execute("BEGIN IMMEDIATE")\n'
        "        _write_state(transaction, rnd, partition)\n",
        tests=("tests/stream/test_kill.py::test_up_is_killed_at_every_point_of[decide]",),
    ),
    Bug(
        name="sent before it is durable",
        about="The sender is told that its records lie in the log; a full disk has lost them.",
        listed="ack before produce",
        file="orchestrator/stream/publish.py",
        right="        with log.transaction() as transaction:\n",
        wrong="        if on_progress is not None:\n"
        "            report.add(sendings)\n"
        "            on_progress(report)\n"
        "        with log.transaction() as transaction:\n",
        tests=("tests/stream/test_publish.py::test_progress_is_reported_once_it_is_durable",),
    ),
    Bug(
        name="state without its offset",
        about="The changelog does not say which record the state follows from.",
        listed="snapshot without offset",
        file="orchestrator/stream/kafka/state.py",
        right="            self.meta = Meta(following, stamp, clock,",
        wrong="            self.meta = Meta(0, stamp, clock,",
        tests=("tests/kafka/test_state.py::test_what_is_read_back_is_what_was_known",),
    ),
    Bug(
        name="sealed cell stays open in the changelog",
        about="A stay that was put away comes back after a restart.",
        listed="reopen on replay",
        file="orchestrator/stream/kafka/state.py",
        right='value[2:], sealed=value[1:2] == b"s")',
        wrong="value[2:], sealed=False)",
        tests=("tests/kafka/test_state.py::test_what_is_read_back_is_what_was_known",),
    ),
    Bug(
        name="changelog ends in a tombstone",
        about="The cleaner removes it, and recovery waits for its offset for ever.",
        file="orchestrator/stream/kafka/state.py",
        right="        yield _META, meta.written()\n",
        wrong='        yield _META, meta.written()\n        yield _seen_key("0", "0"), None\n',
        tests=("tests/kafka/test_state.py::test_what_is_read_back_is_what_was_known",),
    ),
    Bug(
        name="done before the brokers have it",
        about="The worker commits a round, dies, and what followed from it was never written.",
        listed="ack before produce",
        file="orchestrator/stream/kafka/intake.py",
        right='                hit("intake.read")\n',
        wrong='                hit("intake.read")\n'
        "                self._app.consumer.done.update(\n"
        "                    {tp: rows[-1].offset + 1 for tp, rows in rnd.items()}\n"
        "                )\n",
        tests=(f"{SHELL}::test_nothing_is_done_before_the_brokers_have_all_of_it",),
    ),
    Bug(
        name="intake passes an exception over",
        about="What the brokers refused counts as taken in: Faust's own way.",
        listed="swallow handler exception",
        file="orchestrator/stream/kafka/intake.py",
        right='            leave("intake-failed", problem)\n',
        wrong='            logger.error("intake.failed", reason=type(problem).__name__)\n',
        tests=(f"{SHELL}::test_what_the_brokers_refuse_ends_the_process",),
    ),
    Bug(
        name="dead letters not waited for",
        about="A refused message is committed before it is anywhere else.",
        listed="DLQ write not awaited",
        file="orchestrator/stream/kafka/intake.py",
        right="        await self._app.producer.land(rows)\n",
        wrong="        letters = {p: rows.pop(p) for p in [*rows] if p[0] == DEAD_LETTER}\n"
        "        self._sending = asyncio.create_task(self._app.producer.land(letters))\n"
        "        await self._app.producer.land(rows)\n",
        tests=(f"{SHELL}::test_nothing_is_done_before_the_brokers_have_all_of_it",),
    ),
    Bug(
        name="a poll that a rebalance crossed is dropped",
        about="Its records are never worked on, and the next commit passes them.",
        listed="drop one event on rebalance",
        file="orchestrator/stream/kafka/rounds_in.py",
        right="self.skipped[tp] = min(rows[0].offset, ",
        wrong="_ = min(rows[0].offset, ",
        tests=("tests/kafka/test_rounds_in.py::test_what_a_rebalance_crosses_is_sought_again",),
    ),
)
