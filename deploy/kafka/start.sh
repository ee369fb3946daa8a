#!/bin/bash
# Starts the broker; makes its data folder at the first start.  Runs in the image apache/kafka.
set -euo pipefail

BIN=${KAFKA_BIN:-/opt/kafka/bin}
PROPERTIES=${KAFKA_PROPERTIES:-/care/server.properties}
SECRETS=${SECRETS:-/run/secrets}

"$BIN/kafka-storage.sh" format --ignore-formatted \
    --cluster-id "$(cat "$SECRETS/kafka_cluster_id")" --config "$PROPERTIES"
exec "$BIN/kafka-server-start.sh" "$PROPERTIES"
