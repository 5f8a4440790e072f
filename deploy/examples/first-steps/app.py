"""First steps: an application that saves state, publishes a message and receives it, through the sidecar beside it.

Standard library only: the Dapr API is plain HTTP.
"""
import http.server
import json
import os
import sys
import threading
import urllib.request

SIDECAR = f"http://127.0.0.1:{os.environ['DAPR_HTTP_PORT']}/v1.0"
received = threading.Event()


def call(method, path, body=None):
    """One call of the sidecar's API; the answer's status and text."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(SIDECAR + path, data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status, answer.read().decode()


class App(http.server.BaseHTTPRequestHandler):
    """What the sidecar calls: it asks for subscriptions, then delivers."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        wanted = [{"pubsubname": "pubsub", "topic": "orders", "route": "/orders"}]
        self.answer(200, wanted if self.path == "/dapr/subscribe" else {})

    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        print(f"received   {event['data']} from topic {event['topic']}", flush=True)
        self.answer(200, {"status": "SUCCESS"})
        received.set()

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def wait_until_ready():
    """The sidecar is ready once it has asked this application what it wants."""
    for _ in range(300):
        try:
            return call("GET", "/healthz")
        except OSError:
            threading.Event().wait(0.1)
    sys.exit("the sidecar did not become ready within 30 s: its log above says why")


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["APP_PORT"])), App)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    wait_until_ready()
    order = {"id": 1, "item": "coffee"}
    call("POST", "/state/statestore", [{"key": "order-1", "value": order}])
    print(f"saved      {order}", flush=True)
    print(f"read back  {call('GET', '/state/statestore/order-1')[1]}", flush=True)
    call("POST", "/publish/pubsub/orders", order)
    print("published  to topic orders", flush=True)
    if not received.wait(20):
        sys.exit("the message did not come back within 20 s")
    print("done       state and messages work", flush=True)


main()
