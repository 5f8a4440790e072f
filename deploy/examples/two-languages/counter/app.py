"""The counter: takes orders over HTTP, asks the kitchen (another application) to prepare them, hears when they are ready.

Standard library only. Started by `ottavo run --app-port PORT -- python3 app.py` in this folder: its app id is `counter`.
"""
import http.server
import json
import os
import urllib.error
import urllib.request

SIDECAR = f"http://127.0.0.1:{os.environ['DAPR_HTTP_PORT']}/v1.0"
SUBSCRIPTIONS = [{"pubsubname": "pubsub", "topic": "ready", "route": "/ready"}]


def call(method, path, body=None):
    """One call of the sidecar's API: the status and the decoded answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(SIDECAR + path, data, {"content-type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read() or "null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or "null")


class App(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path == "/dapr/subscribe":
            return self.answer(200, SUBSCRIPTIONS)
        if self.path.startswith("/orders/"):
            status, order = call("GET", "/state/statestore/" + self.path.removeprefix("/orders/"))
            return self.answer(200, order) if status == 200 else self.answer(404, {"error": "no such order"})
        self.answer(404, {"error": "no such path"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/orders":
            if call("GET", "/healthz")[0] != 204:
                # What is published before this application has subscribed would not reach it.
                return self.answer(503, {"error": "the sidecar is not ready yet"})
            call("POST", "/state/statestore", [{"key": body["id"], "value": {**body, "state": "ordered"}}])
            status, answer = call("POST", "/invoke/kitchen/method/prepare", body)
            print(f"order {body['id']}: the kitchen says {answer}", flush=True)
            return self.answer(status, answer)
        if self.path == "/ready":
            order = body["data"]
            call("POST", "/state/statestore", [{"key": order["id"], "value": {**order, "state": "ready"}}])
            print(f"order {order['id']}: ready", flush=True)
            return self.answer(200, {"status": "SUCCESS"})
        self.answer(404, {"error": "no such path"})

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["APP_PORT"])), App).serve_forever()
