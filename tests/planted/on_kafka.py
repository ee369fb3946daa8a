"""Bugs that only real brokers show: transactions, fences, isolation, the gate of the clocks."""

from typing import Final

from tests.planted.bug import Bug

WORKER: Final = "tests/kafka/test_worker.py"
CLIENTS: Final = "tests/kafka/clients"

BUGS: Final = (
    Bug(
        name="outputs outside the transaction",
        about="A worker that dies before the commit has published what it will publish again.",
        listed="commit offset before produce",
        file="orchestrator/stream/kafka/decide.py",
        right="            flying = await producer.launch(out, fenced)\n",
        wrong="            outputs = {p: out.pop(p) for p in [*out] if p != state}\n"
        "            await producer.land(outputs)\n"
        "            flying = await producer.launch(out, fenced)\n",
        tests=(f"{CLIENTS}/test_readers.py::test_all_read_the_same",),
        broker=True,
    ),
    Bug(
        name="no fence",
        about="A worker that was paused writes its old state over its successor's.",
        file="orchestrator/stream/kafka/decide.py",
        right='f"{group}-journal-{p}"',
        wrong="f\"{group}-journal-{p}-{id(self)}-{__import__('os').getpid()}\"",
        tests=(f"{WORKER}::test_a_paused_worker_cannot_write_over_its_successor",),
        broker=True,
    ),
    Bug(
        name="the gate is not waited for",
        about="A gap is told although the call that settles it lies in the topic unread.",
        listed="gap fired without watermark",
        file="orchestrator/stream/kafka/clockwork.py",
        right="            if stands.get(tp, 0) < mark and tp",
        wrong="            if stands.get(tp, 0) > mark and tp",
        tests=("tests/kafka/test_intake.py::test_a_lagging_intake_holds_the_deadline",),
        broker=True,
    ),
    Bug(
        name="uncommitted records read",
        about="What a hospital took back before it was sent becomes a task.",
        file="orchestrator/stream/kafka/rounds_in.py",
        right='        consumer._isolation_level = "read_committed"',
        wrong='        consumer._isolation_level = "read_uncommitted"',
        tests=(f"{CLIENTS}/test_producers.py::test_transactions_of_a_java_producer",),
        broker=True,
    ),
    Bug(
        name="another hash at the door",
        about="Intake and decide look for one patient in two partitions.",
        listed="partition hash differs between gateway and worker",
        file="orchestrator/stream/kafka/intake.py",
        right="                partition = partition_of(key, self._site.partitions)\n",
        wrong="                partition = sum(key.encode()) % self._site.partitions\n",
        tests=(f"{CLIENTS}/test_readers.py::test_all_read_the_same",),
        broker=True,
    ),
    Bug(
        name="headers by name",
        about="Of two headers that name a patient the last one wins.",
        file="orchestrator/stream/kafka/intake.py",
        right="self._intake.take(record_of(row), row.headers)",
        wrong="self._intake.take(record_of(row))",
        tests=(f"{CLIENTS}/test_producers.py::test_what_cannot_be_read_is_kept_as_it_came",),
        broker=True,
    ),
    Bug(
        name="dead letters without the sender's headers",
        about="Nobody can send the record again as it was.",
        file="orchestrator/stream/kafka/intake.py",
        right="[*row.headers, *ours]",
        wrong="ours",
        tests=(f"{CLIENTS}/test_producers.py::test_what_cannot_be_read_is_kept_as_it_came",),
        broker=True,
    ),
)
