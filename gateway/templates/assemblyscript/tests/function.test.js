import assert from "node:assert/strict";
import { test } from "node:test";

import { Sidecar } from "./sidecar.js";

test("calls are counted", async () => {
  const sidecar = await Sidecar.start("my-function.wasm");
  assert.deepEqual(sidecar.call("GET", "/hello"), { status: 200, body: "GET /hello: call 1\n" });
  assert.deepEqual(sidecar.call("POST", "/hello", "body"), { status: 200, body: "POST /hello: call 2\n" });
  assert.equal(sidecar.state.get("statestore/count"), "2");
});
