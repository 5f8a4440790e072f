"use strict";
// The application: the SDK's server, over HTTP (Express) or over gRPC.

const { CommunicationProtocolEnum, DaprPubSubStatusEnum, DaprServer, HttpMethod, LogLevel } = require("@dapr/dapr");
const express = require("express");

const { waitFor } = require("./facts");

const PUBSUB = "pubsub";

/** The events that the application was given, by topic. */
class Inbox {
  #events = new Map();

  /** Keeps an event and says how many came on this topic, with it. */
  put(topic, data) {
    const events = this.#events.get(topic) ?? [];
    this.#events.set(topic, [...events, data]);
    return events.length + 1;
  }

  /** The first `count` events of `topic`, once that many have come. */
  async get(topic, count = 1) {
    await waitFor(`${count} events on ${topic}`, () => (this.#events.get(topic)?.length ?? 0) >= count);
    return this.#events.get(topic).slice(0, count);
  }
}

/** A server, not yet started, with its methods and subscriptions. */
async function application(protocol, inbox) {
  const routes = express();
  const server = new DaprServer({
    communicationProtocol: protocol === "http" ? CommunicationProtocolEnum.HTTP : CommunicationProtocolEnum.GRPC,
    serverHost: "127.0.0.1",
    serverHttp: routes,
    logger: { level: LogLevel.Error },
    clientOptions: { logger: { level: LogLevel.Error } },
  });
  await methods(server);
  await topics(server.pubsub, inbox);
  if (protocol === "http") {
    // Beside what the SDK knows of: an error status of our own, and the route of resources/subscriptions.yaml.
    routes.post("/teapot", (_request, response) => response.status(418).send("short and stout"));
    routes.post("/declared", (request, response) => {
      inbox.put("declared", request.body.data);
      response.send({ status: "SUCCESS" });
    });
  }
  return server;
}

async function methods({ invoker }) {
  const echo = ({ body, query, headers, metadata }) => ({
    body: body ? JSON.parse(body) : null,
    query: query ?? "",
    header: headers?.["x-order"] ?? "",
    contentType: metadata?.contentType ?? "",
  });
  await invoker.listen("echo", echo, { method: HttpMethod.POST });
  await invoker.listen("read", ({ query }) => ({ read: query ?? "" }), { method: HttpMethod.GET });
  await invoker.listen("failing", () => Promise.reject(new Error("short and stout")), { method: HttpMethod.PUT });
}

async function topics(pubsub, inbox) {
  const { RETRY, DROP, SUCCESS } = DaprPubSubStatusEnum;
  const keep = (name, status = SUCCESS) => async (data) => {
    inbox.put(name, data);
    return status;
  };
  await pubsub.subscribe(PUBSUB, "programmatic", keep("programmatic"));
  await pubsub.subscribe(PUBSUB, "retried", async (data) => (inbox.put("retried", data) === 1 ? RETRY : SUCCESS));
  await pubsub.subscribeWithOptions(PUBSUB, "dropped", {
    callback: keep("dropped", DROP),
    deadLetterTopic: "dead",
  });
  await pubsub.subscribeWithOptions(PUBSUB, "refused", {
    callback: keep("refused", RETRY),
    deadLetterTopic: "dead",
  });
  await pubsub.subscribe(PUBSUB, "dead", keep("dead"));
  // The SDK sends a value as its JSON text: a string would arrive in quotation marks.
  await pubsub.subscribe(PUBSUB, "raw", keep("raw"), undefined, { rawPayload: true });
  await pubsub.subscribe(PUBSUB, "bulk", keep("bulk"));
  await pubsub.subscribeBulk(PUBSUB, "together", keep("together"), { maxMessagesCount: 10, maxAwaitDurationMs: 50 });
  const route = {
    default: "otherwise",
    rules: [{ match: 'event.type == "special"', path: "special" }],
  };
  await pubsub.subscribeWithOptions(PUBSUB, "routed", { route });
  pubsub.subscribeToRoute(PUBSUB, "routed", "special", keep("special"));
  pubsub.subscribeToRoute(PUBSUB, "routed", "otherwise", keep("otherwise"));
}

module.exports = { application, Inbox };
