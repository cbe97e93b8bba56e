#!/bin/bash
# A worker in shell: takes messages of a queue one by one, runs a command with the body on its standard input,
# acknowledges with what it prints, and gives the message back when it fails: examples/worker.sh mails sendmail -t
# WEIR_URL names the server, WEIR_TOKEN a token for it. SIGTERM ends it after the message that it has in hand.
set -eu
[ $# -ge 2 ] || { echo "usage: worker.sh QUEUE COMMAND..." >&2 && exit 2; }
queue=$1 && shift
url=${WEIR_URL:-http://127.0.0.1:8420}
work=$(mktemp -d) stop="" asking="" && trap 'rm -rf "$work"' EXIT
trap 'stop=yes; [ -z "$asking" ] || kill "$asking" || true' TERM INT
# In a file: others see the arguments of a program.
echo "${WEIR_TOKEN:+Authorization: Bearer $WEIR_TOKEN}" >"$work/head"

# A member of the first message: ids, receipts and base64 have no escapes.
field() { sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p" "$work/lease"; }
# settle ack|nack ARGUMENTS...: gives the status, 000 without an answer.
settle() {
  curl -sS -X POST -H "@$work/head" -o "$work/answer" -w '%{http_code}' "${@:2}" "$url/v1/leases/$(field receipt)/$1" || true
}

while [ -z "$stop" ]; do
  curl -fsS -X POST -H "@$work/head" -o "$work/lease" "$url/v1/queues/$queue/leases?wait=30s&encoding=base64" &
  asking=$!
  [ -z "$stop" ] || kill "$asking" || true # the signal came before there was somebody to kill
  # No server, or no such queue: again in a second.
  wait "$asking" || { asking="" && { [ -n "$stop" ] || sleep 1; } && continue; }
  asking=""
  [ -n "$(field receipt)" ] || continue
  field body | base64 -d >"$work/body"
  code=0 error="" word="done" status=""
  "$@" <"$work/body" >"$work/result" 2>"$work/error" || code=$?
  if [ "$code" = 0 ]; then
    status=$(settle ack --data-binary "@$work/result" -H 'Content-Type: text/plain')
    [ "$status" != 413 ] || error="its result is too large"
  else
    error=$(head -c 500 "$work/error" | tr -cd '[:alnum:] .,:;_-') && error=${error:-exit code $code}
  fi
  [ -z "$error" ] || { word="failed: $error" && status=$(settle nack -d "{\"error\":\"$error\"}"); }
  # A lease that has run out meanwhile is somebody else's, and we go on.
  [[ $status = 2* ]] && echo "$(field id) $word" || echo "$(field id) was not settled: $status" >&2
done
