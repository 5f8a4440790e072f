"use strict";
// Invocation of this program through its own sidecar.

const { HttpMethod } = require("@dapr/dapr");
const { equal, error, holds } = require("./facts");

async function proveHttp({ invoker }, appId) {
  const echo = await invoker.invoke(appId, "echo?a=b%20c&d=%C3%A9", HttpMethod.POST, { order: 1 }, { headers: { "x-order": "42" } });
  equal("invoke: body arrives", echo.body, { order: 1 });
  equal("invoke: query string arrives", echo.query, "/echo?a=b%20c&d=%C3%A9");
  equal("invoke: metadata arrives", echo.header, "42");
  equal("invoke: content type arrives", echo.contentType, "application/json");
  equal("invoke: verb chooses the method", await invoker.invoke(appId, "read?x=1", HttpMethod.GET), { read: "/read?x=1" });
  const failed = JSON.parse((await error(invoker.invoke(appId, "teapot", HttpMethod.POST))).replace("Error: ", ""));
  equal("invoke: the application's error status comes back", [failed.status, failed.error_msg], [418, "short and stout"]);
  const missing = await error(invoker.invoke(appId, "no/such/method", HttpMethod.GET));
  holds("invoke: a missing method is 404", /"status":404/.test(missing), missing);
}

async function proveGrpc({ invoker }, appId) {
  const echo = await invoker.invoke(appId, "echo", HttpMethod.POST, { order: 1 });
  equal("invoke: body arrives", echo.body, { order: 1 });
  equal("invoke: content type arrives", echo.contentType, "application/json");
  equal("invoke: verb chooses the method", await invoker.invoke(appId, "read", HttpMethod.GET), { read: "" });
  const failed = await error(invoker.invoke(appId, "failing", HttpMethod.PUT));
  holds("invoke: the application's error comes back", /\[internal\]/.test(failed), failed);
}

module.exports = { proveGrpc, proveHttp };
