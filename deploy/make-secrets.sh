#!/bin/bash
# Makes the secrets of docker-compose.yml in deploy/secrets/, those that are not there yet, each at
# random.  Run it once before the first `docker compose up`; needs openssl.  What is there is never
# changed: another site key would make every patient a new one.
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
FOLDER=${1:-$HERE/secrets}
# Whom the certificates name: what clients call the broker, and browsers the worklist.
KAFKA_NAMES=${KAFKA_NAMES:-DNS:kafka,DNS:localhost,IP:127.0.0.1}
WORKLIST_NAMES=${WORKLIST_NAMES:-DNS:worklist,DNS:localhost,IP:127.0.0.1}
CA_DAYS=3650
DAYS=825

umask 077
mkdir -p "$FOLDER"
# The folder is closed, its files are not: containers read them as users of their own.
chmod 700 "$FOLDER"
cd "$FOLDER"
draft=$(mktemp -d "$FOLDER/.draft.XXXXXX")
trap 'rm -rf "$draft"' EXIT

keep() {  # keep NAME: standard input becomes the secret NAME, unless there is one
    if [ -e "$1" ]; then cat > /dev/null; return; fi
    cat > "$draft/$1"
    chmod 444 "$draft/$1"
    mv "$draft/$1" "$1"
    echo "made $1"
}

# Of the same site only: patients' keys are made with it.  Keep a copy where the backups are.
openssl rand -hex 32 | keep care_site_key
# Another one signs everybody out of the pages, no more.
openssl rand -hex 32 | keep care_session_secret
for user in care worklist hospital browser; do
    openssl rand -hex 24 | keep "${user}_kafka_password"
done
openssl rand -hex 16 | keep grafana_password
openssl rand -hex 16 | keep kafka_ui_password
# An id may not begin with a dash, so none has one.
openssl rand -base64 16 | tr '+/' 'Aa' | tr -d '=' | keep kafka_cluster_id

if [ ! -e kafka_ca.pem ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 \
        -days "$CA_DAYS" -subj "/CN=care-orchestrator Kafka CA" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
        -keyout "$draft/ca.key" -out "$draft/ca.pem" 2> /dev/null
    mv "$draft/ca.key" kafka_ca.key  # signs the next certificate; no container sees it
    keep kafka_ca.pem < "$draft/ca.pem"
fi
certificate() {  # certificate NAME ALTERNATIVES: a key and a certificate of ours in NAME_tls.pem
    if [ -e "$1_tls.pem" ]; then return; fi
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" \
        -keyout "$draft/tls.key" -out "$draft/tls.csr" 2> /dev/null
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$2" > "$draft/tls.ext"
    openssl x509 -req -in "$draft/tls.csr" -CA kafka_ca.pem -CAkey kafka_ca.key \
        -set_serial "0x$(openssl rand -hex 16)" -sha256 -days "$DAYS" \
        -extfile "$draft/tls.ext" -out "$draft/tls.pem" 2> /dev/null
    cat "$draft/tls.key" "$draft/tls.pem" kafka_ca.pem | keep "$1_tls.pem"
}
certificate kafka "$KAFKA_NAMES"
# Until the site puts its own there: one that the hospital's browsers trust.
certificate worklist "$WORKLIST_NAMES"

keep kafka_ui.yml << END
# The Kafka browser: who signs in, and how it signs in at the broker.  Values are masked, since
# records are patients' data; whoever may see them uses \`topics read\`.
auth: {type: LOGIN_FORM}
spring: {security: {user: {name: operator, password: "$(cat kafka_ui_password)"}}}
kafka:
  clusters:
    - name: care
      bootstrapServers: kafka:9092
      readOnly: true
      properties:
        security.protocol: SASL_SSL
        sasl.mechanism: SCRAM-SHA-512
        sasl.jaas.config: >-
          org.apache.kafka.common.security.scram.ScramLoginModule required
          username="browser" password="$(cat browser_kafka_password)";
        ssl.truststore.type: PEM
        ssl.truststore.location: /run/secrets/kafka_ca.pem
      masking:
        - {type: REPLACE, replacement: "***", topicValuesPattern: "care\\\\..*"}
END
