"use strict";
// Proves, as one application and its client, that the unmodified JavaScript SDK works with a sidecar.
//
// Reads what `dapr run` gives an application: APP_ID, APP_PORT, APP_PROTOCOL (http or grpc), DAPR_HTTP_PORT and
// DAPR_GRPC_PORT. The protocol is that of both sides: of the calls to the sidecar and of those to the application.

const { application, Inbox } = require("./app");
const facts = require("./facts");
const invoke = require("./invoke");
const pubsub = require("./pubsub");
const rest = require("./rest");
const state = require("./state");

async function main() {
  const { APP_ID: appId, APP_PROTOCOL: protocol } = process.env;
  const inbox = new Inbox();
  const server = await application(protocol, inbox);
  await server.start();
  const dapr = server.client;
  await facts.waitFor("sidecar that has found this application", ready);
  await rest.proveHealth(dapr);
  await rest.proveMetadata(dapr, appId);
  await rest.proveSecrets(dapr);
  await state.prove(dapr);
  await (protocol === "http" ? invoke.proveHttp(dapr, appId) : invoke.proveGrpc(dapr, appId));
  await pubsub.prove(dapr, inbox, protocol);
  await rest.proveShutdown(dapr);
}

async function ready() {
  const answer = await fetch(`http://127.0.0.1:${process.env.DAPR_HTTP_PORT}/v1.0/healthz`).catch(() => undefined);
  return answer?.status === 204;
}

main().then(
  () => {
    console.log(`all ${facts.total()} facts hold`);
    // The server of the application would keep it alive.
    process.exit(0);
  },
  (wrong) => {
    console.error(wrong);
    console.log(`NOT PROVEN ${wrong.message ?? wrong}`);
    process.exit(1);
  },
);
