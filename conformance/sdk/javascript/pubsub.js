"use strict";
// Publish and subscribe: programmatic, declarative, in bulk, raw, routed, retried and dead.

const { equal, error, holds } = require("./facts");

const PUBSUB = "pubsub";

async function prove(dapr, inbox, protocol) {
  await delivered(dapr, inbox, protocol);
  await answers(dapr, inbox);
  await payloads(dapr, inbox);
  const refused = await error(dapr.pubsub.publish("nobody", "topic", "data"));
  holds("pubsub: an unknown component is an error", /nobody/.test(refused), refused);
}

async function delivered({ pubsub }, inbox, protocol) {
  await pubsub.publish(PUBSUB, "programmatic", { order: 1 });
  equal("pubsub: programmatic subscription", await inbox.get("programmatic"), [{ order: 1 }]);
  await pubsub.publish(PUBSUB, "programmatic", "text");
  equal("pubsub: text stays text", (await inbox.get("programmatic", 2))[1], "text");
  // Over gRPC the SDK's server knows no handler of a topic that it did not subscribe to itself.
  if (protocol === "http") {
    await pubsub.publish(PUBSUB, "declared", { order: 2 });
    equal("pubsub: declarative subscription", await inbox.get("declared"), [{ order: 2 }]);
  }
  await pubsub.publish(PUBSUB, "routed", { order: 6 });
  await pubsub.publish(PUBSUB, "routed", { order: 7 }, { metadata: { "cloudevent.type": "special" } });
  equal("pubsub: a rule chooses the route", await inbox.get("special"), [{ order: 7 }]);
  equal("pubsub: no rule is the default route", await inbox.get("otherwise"), [{ order: 6 }]);
}

async function answers({ pubsub }, inbox) {
  await pubsub.publish(PUBSUB, "retried", { order: 3 });
  equal("pubsub: an answer RETRY brings the event again", await inbox.get("retried", 2), [{ order: 3 }, { order: 3 }]);
  await pubsub.publish(PUBSUB, "dropped", { order: 4 });
  equal("pubsub: a dropped event goes to the dead letter topic", await inbox.get("dead"), [{ order: 4 }]);
  await pubsub.publish(PUBSUB, "refused", { order: 5 });
  equal("pubsub: an event refused to the end goes to the dead letter topic", (await inbox.get("dead", 2))[1], { order: 5 });
}

async function payloads({ pubsub }, inbox) {
  await pubsub.publish(PUBSUB, "raw", { order: 8 }, { metadata: { rawPayload: "true" } });
  equal("pubsub: raw payload", await inbox.get("raw"), [{ order: 8 }]);
  const cloudEvent = { specversion: "1.0", id: "mine", source: "sdk", type: "own", datacontenttype: "text/plain", data: "own text" };
  await pubsub.publish(PUBSUB, "programmatic", cloudEvent, { contentType: "application/cloudevents+json" });
  equal("pubsub: a cloud event is unwrapped", (await inbox.get("programmatic", 3))[2], "own text");
  const messages = [{ entryID: "first", event: { n: 1 }, contentType: "application/json" }, "two", { n: 3 }];
  equal("pubsub: bulk publish has no failed entry", await pubsub.publishBulk(PUBSUB, "bulk", messages), { failedMessages: [] });
  equal("pubsub: bulk publish delivers each entry", sorted(await inbox.get("bulk", 3)), sorted([{ n: 1 }, "two", { n: 3 }]));
  await pubsub.publishBulk(PUBSUB, "together", [{ n: 1 }, { n: 2 }]);
  equal("pubsub: bulk subscription", sorted(await inbox.get("together", 2)), sorted([{ n: 1 }, { n: 2 }]));
}

function sorted(events) {
  return events.map((event) => JSON.stringify(event)).sort();
}

module.exports = { prove };
