#!/bin/bash
# Two applications in two languages, each beside its own `ottavo run` on the defaults: the counter (Python) calls the
# kitchen (JavaScript) and hears from it through a topic. Needs Python 3 and Node, and `ottavo` on the path or in $OTTAVO_BIN.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
ottavo=${OTTAVO_BIN:-$(command -v ottavo || true)}
[ -n "$ottavo" ] || { echo "run.sh: no ottavo on the path; build it (deploy/examples/first-steps/run.sh) and set OTTAVO_BIN" >&2; exit 1; }
data=$(mktemp -d)
running=()
finish() {
    status=$?
    for process in "${running[@]}"; do kill -INT "$process" 2>/dev/null || true; done
    for process in "${running[@]}"; do wait "$process" 2>/dev/null || true; done
    rm -rf "$data"
    exit $status
}
trap finish EXIT
read -r kitchen counter < <(python3 -c '
import socket
held = [socket.socket() for _ in range(2)]
for s in held: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))')
# A job in the background ignores SIGINT unless it has a group of its own.
set -m
(cd "$here/kitchen" && exec "$ottavo" run --data-dir "$data" --log-level error --app-port "$kitchen" -- node app.js) &
running+=($!)
(cd "$here/counter" && exec "$ottavo" run --data-dir "$data" --log-level error --app-port "$counter" -- python3 app.py) &
running+=($!)
set +m
order=http://127.0.0.1:$counter/orders
for _ in $(seq 100); do
    answer=$(curl -s -X POST "$order" -H 'content-type: application/json' -d '{"id": "1", "item": "coffee"}' || true)
    [ "$answer" = '{"accepted": "1"}' ] && break
    sleep 0.1
done
[ "$answer" = '{"accepted": "1"}' ] || { echo "run.sh: the order was not accepted: $answer" >&2; exit 1; }
for _ in $(seq 100); do
    state=$(curl -s "$order/1")
    case $state in *'"state": "ready"'*) echo "done: $state"; exit 0 ;; esac
    sleep 0.1
done
echo "run.sh: the order did not become ready: $state" >&2
exit 1
