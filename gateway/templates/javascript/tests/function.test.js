import assert from "node:assert/strict";
import { test } from "node:test";

import { handle } from "../src/function.js";

test("calls are counted", async () => {
  const call = async (method) => (await handle(new Request("http://localhost/hello", { method }))).text();
  assert.equal(await call("GET"), "GET /hello: call 1\n");
  assert.equal(await call("POST"), "POST /hello: call 2\n");
});
