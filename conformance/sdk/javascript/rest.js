"use strict";
// Secrets, metadata, health and the end.

const { equal, error, holds } = require("./facts");

async function proveHealth(dapr) {
  equal("health: isHealthy", await dapr.health.isHealthy(), true);
}

async function proveMetadata(dapr, appId) {
  const metadata = await dapr.metadata.get();
  equal("metadata: names the application", metadata.id, appId);
  const components = metadata.components.map(({ name, type, version }) => `${name} ${type} ${version}`).sort();
  equal("metadata: lists the components", components, [
    "pubsub pubsub.in-memory v1",
    "secretstore secretstores.local.file v1",
    "statestore state.in-memory v1",
  ]);
  equal("metadata: is set", await dapr.metadata.set("language", "JavaScript"), true);
  equal("metadata: set is read back", extended(await dapr.metadata.get()).language, "JavaScript");
}

// An object over HTTP, an array of pairs over gRPC.
function extended(metadata) {
  return metadata.extended instanceof Array ? Object.fromEntries(metadata.extended) : metadata.extended;
}

async function proveSecrets({ secret }) {
  equal("secrets: get", await secret.get("secretstore", "greeting"), { greeting: "good evening" });
  equal("secrets: a nested value has a path", await secret.get("secretstore", "database:user"), {
    "database:user": "ottavo",
  });
  const all = await secret.getBulk("secretstore");
  equal("secrets: bulk get", Object.keys(all).sort(), ["database:password", "database:user", "greeting"]);
  const missing = await error(secret.get("secretstore", "nothing"));
  holds("secrets: a missing secret is an error", /secret nothing not found/.test(missing), missing);
}

async function proveShutdown({ sidecar }) {
  await sidecar.shutdown();
  holds("shutdown: is accepted", true);
}

module.exports = { proveHealth, proveMetadata, proveSecrets, proveShutdown };
