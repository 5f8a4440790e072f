#!/bin/bash
# Runs the image under a real containerd, as an ordinary user on a read-only root, beside an application, and asks it.
# Needs root, and Debian's containerd, runc and umoci.
#
#     deploy/docker/check.sh IMAGE.tar
set -euo pipefail
image=$1
for program in containerd ctr runc; do
    command -v "$program" >/dev/null || { echo "check.sh: $program is missing: apt-get install containerd runc" >&2; exit 1; }
done
work=$(mktemp -d)
socket=$work/containerd.sock
name=ottavo-check-$$
daemon= app=
ctr() { command ctr --address "$socket" --namespace ottavo-check "$@"; }
finish() {
    status=$?
    [ $status -eq 0 ] || { echo "-- containerd"; tail -20 "$work/containerd.log"; echo "-- container"; cat "$work/container.log"; } >&2 2>/dev/null || true
    ctr task kill --signal SIGKILL "$name" >/dev/null 2>&1 || true
    for _ in $(seq 50); do ctr task delete "$name" >/dev/null 2>&1 && break; ctr task ls 2>/dev/null | grep -q "^$name " || break; sleep 0.1; done
    ctr container delete "$name" >/dev/null 2>&1 || true
    [ -z "$app" ] || kill "$app" 2>/dev/null || true
    [ -z "$daemon" ] || { kill "$daemon" 2>/dev/null; wait "$daemon" 2>/dev/null; } || true
    rm -rf "$work" 2>/dev/null || true
    exit $status
}
trap finish EXIT
cat > "$work/config.toml" <<TOML
version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri"]
root = "$work/root"
state = "$work/state"
[grpc]
address = "$socket"
TOML
containerd --config "$work/config.toml" > "$work/containerd.log" 2>&1 &
daemon=$!
for _ in $(seq 100); do ctr version >/dev/null 2>&1 && break; sleep 0.1; done
echo "== Importing"
ctr image import --snapshotter native --base-name ottavo "$image" 
reference=$(ctr image ls -q | head -1)
read -r app_port http grpc internal metrics public < <(python3 -c '
import socket
held = [socket.socket() for _ in range(6)]
for s in held: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))')
mkdir "$work/resources"
cat > "$work/resources/statestore.yaml" <<YAML
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: statestore }
spec: { type: state.in-memory, version: v1 }
YAML
chmod -R a+rX "$work/resources"
chmod a+x "$work"
python3 -c '
import http.server, sys
class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/hello" else 404); self.end_headers(); self.wfile.write(b"from the application")
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), App).serve_forever()' "$app_port" 2>/dev/null &
app=$!
echo "== Running $reference as its own user on a read-only root, beside an application"
ctr run --snapshotter native --net-host --read-only \
    --mount "type=tmpfs,src=tmpfs,dst=/tmp,options=nosuid:nodev" \
    --mount "type=bind,src=$work/resources,dst=/resources,options=rbind:ro" \
    "$reference" "$name" /daprd --app-id shop --app-port "$app_port" --resources-path /resources \
    --dapr-http-port "$http" --dapr-grpc-port "$grpc" --dapr-internal-grpc-port "$internal" \
    --metrics-port "$metrics" --dapr-public-port "$public" > "$work/container.log" 2>&1 &
url=http://127.0.0.1:$http
for _ in $(seq 200); do [ "$(curl -s -o /dev/null -w '%{http_code}' "$url/v1.0/healthz")" = 204 ] && break; sleep 0.05; done
[ "$(curl -s -o /dev/null -w '%{http_code}' "$url/v1.0/healthz")" = 204 ]
echo "healthz: 204"
pid=$(ctr task ls | awk -v name="$name" '$1 == name { print $2 }')
[ "$(awk '/^Uid:/ { print $2 }' "/proc/$pid/status")" = 65532 ]
# Field 6 of mountinfo: the options of the mount.
awk '$5 == "/" { exit !($6 ~ /(^|,)ro(,|$)/) }' "/proc/$pid/mountinfo"
echo "user 65532, root mounted read-only, $(awk '/^VmRSS:/ { print $2 }' "/proc/$pid/status") KiB resident"
curl -sf -X POST "$url/v1.0/state/statestore" -d '[{"key":"a","value":1}]'
[ "$(curl -sf "$url/v1.0/state/statestore/a")" = 1 ]
[ "$(curl -sf "$url/v1.0/invoke/shop/method/hello")" = "from the application" ]
echo "state and invocation answer"
ctr task kill --signal SIGTERM "$name"
for _ in $(seq 100); do ctr task ls | awk -v name="$name" '$1 == name && $3 == "RUNNING" { found = 1 } END { exit !found }' || break; sleep 0.1; done
! kill -0 "$pid" 2>/dev/null
echo "SIGTERM ended it"
