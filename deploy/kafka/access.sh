#!/bin/bash
# Says who may do what on the broker.  Runs once at every `up`, inside the broker's own network, so
# that a changed password takes effect and nothing has to be remembered.
#
#   care      the workers and commands: everything
#   worklist  the pages and the API: reads what was decided; writes what people did, who saw what,
#             and what could not be taken once more: to the public inputs, as who sent it first
#   hospital  who publishes: writes the public inputs, reads nothing
#   browser   the Kafka browser: reads, changes nothing
set -euo pipefail

BIN=${KAFKA_BIN:-/opt/kafka/bin}
SECRETS=${SECRETS:-/run/secrets}
BROKER=${KAFKA_LOCAL:-127.0.0.1:9094}

INPUTS=(
    care.admission.v1 care.discharge.v1 care.medication.v1 care.appointment.v1 care.patient.v1
    care.outcome.v1 care.backfill.v1 care.dead-letter.v1
)
# What the worklist reads: what was decided, the journal (its clocks; what lay there when a record
# could not be used; what another policy would have made of it), the site key's fingerprint.  The
# inputs too: how old what waits there is, and the original of what is sent again.
SHOWN=(
    care.task.v1 care.gap.v1 care.change.v1 care.patient-view.v1 care.audit.v1 care.dead-letter.v1
    care.journal.v1 care.site.v1
)
# What it writes beside them.
WRITTEN=(care.audit.v1)

# Given as a file: what stands on a command line can be read by everybody.
changes=$(mktemp)
trap 'rm -f "$changes"' EXIT
for user in care worklist hospital browser; do
    echo "SCRAM-SHA-512=iterations=8192,password=$(cat "$SECRETS/${user}_kafka_password")" > "$changes"
    "$BIN/kafka-configs.sh" --bootstrap-server "$BROKER" --alter \
        --entity-type users --entity-name "$user" --add-config-file "$changes"
done

topics=()
for topic in "${INPUTS[@]}"; do topics+=(--topic "$topic"); done
"$BIN/kafka-acls.sh" --bootstrap-server "$BROKER" --add --force \
    --allow-principal User:hospital --operation Write --operation Describe "${topics[@]}"
topics=()
for topic in "${SHOWN[@]}" "${INPUTS[@]}"; do topics+=(--topic "$topic"); done
"$BIN/kafka-acls.sh" --bootstrap-server "$BROKER" --add --force \
    --allow-principal User:worklist --operation Read "${topics[@]}"
topics=()
for topic in "${WRITTEN[@]}" "${INPUTS[@]}"; do topics+=(--topic "$topic"); done
"$BIN/kafka-acls.sh" --bootstrap-server "$BROKER" --add --force \
    --allow-principal User:worklist --operation Write "${topics[@]}"
"$BIN/kafka-acls.sh" --bootstrap-server "$BROKER" --add --force \
    --allow-principal User:worklist --operation Describe --topic '*' --group '*'
"$BIN/kafka-acls.sh" --bootstrap-server "$BROKER" --add --force \
    --allow-principal User:browser --operation Read --operation Describe \
    --operation DescribeConfigs --topic '*' --group '*'
"$BIN/kafka-acls.sh" --bootstrap-server "$BROKER" --add --force \
    --allow-principal User:browser --operation Describe --operation DescribeConfigs --cluster
