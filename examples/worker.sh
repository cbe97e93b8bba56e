#!/bin/bash
# A worker in shell: takes messages of a queue one by one, runs a command with the body on its standard input,
# acknowledges with what it prints, and gives the message back when it fails: examples/worker.sh mails sendmail -t
set -eu -o pipefail
queue=${1:?usage: worker.sh QUEUE COMMAND...}
shift
url=${WEIR_URL:-http://127.0.0.1:8420}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

field() { # a member of the first message; ids, receipts and base64 have no escapes
  sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p" "$work/lease"
}

while true; do
  curl -fsS -X POST -o "$work/lease" "$url/v1/queues/$queue/leases?wait=30s&encoding=base64"
  receipt=$(field receipt)
  [ -n "$receipt" ] || continue
  if field body | base64 -d | "$@" >"$work/result" 2>"$work/error"; then
    curl -fsS --data-binary "@$work/result" -H 'Content-Type: text/plain' "$url/v1/leases/$receipt/ack"
    echo "$(field id) done"
  else
    error=$(head -c 500 "$work/error" | tr -cd '[:alnum:] .,:;_-')
    curl -fsS -d "{\"error\":\"$error\"}" "$url/v1/leases/$receipt/nack"
    echo "$(field id) failed: $error"
  fi
done
