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

settle() { # settle WORD ARGUMENTS...: a lease that has run out meanwhile is somebody else's, and we go on
  if curl -fsS "${@:2}"; then
    echo "$(field id) $1"
  else
    echo "$(field id) was not settled" >&2
  fi
}

while true; do
  # No server, or no such queue: again in a second.
  curl -fsS -X POST -o "$work/lease" "$url/v1/queues/$queue/leases?wait=30s&encoding=base64" || { sleep 1 && continue; }
  receipt=$(field receipt)
  [ -n "$receipt" ] || continue
  if field body | base64 -d | "$@" >"$work/result" 2>"$work/error"; then
    settle "done" --data-binary "@$work/result" -H 'Content-Type: text/plain' "$url/v1/leases/$receipt/ack"
  else
    error=$(head -c 500 "$work/error" | tr -cd '[:alnum:] .,:;_-')
    settle "failed: $error" -d "{\"error\":\"$error\"}" "$url/v1/leases/$receipt/nack"
  fi
done
