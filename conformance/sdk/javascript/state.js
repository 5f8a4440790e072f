"use strict";
// State: get, save, delete, bulk, transactions, entity tags and time to live.

const { StateConcurrencyEnum } = require("@dapr/dapr");
const { equal, error, holds, waitFor } = require("./facts");

const STORE = "statestore";
// How a conflict is said over HTTP and over gRPC.
const CONFLICT = /"status":409|\[aborted\]/;

async function prove(dapr) {
  await values(dapr);
  await entityTags(dapr);
  await firstWrite(dapr);
  await many(dapr);
  await timeToLive(dapr);
}

async function values({ state }) {
  const order = { id: 7, lines: ["é", null, 1.5] };
  await state.save(STORE, [{ key: "json", value: order }]);
  equal("state: json comes back", await state.get(STORE, "json"), order);
  equal("state: a missing key is empty", await state.get(STORE, "never-saved"), "");
  holds("state: an unknown store is an error", /nostore/.test(await error(state.get("nostore", "key"))));
}

// Only getBulk shows the entity tag.
async function tagged({ state }, key) {
  const [item] = await state.getBulk(STORE, [key]);
  return item;
}

async function entityTags(dapr) {
  const { state } = dapr;
  await state.save(STORE, [{ key: "tagged", value: "one" }]);
  const stale = (await tagged(dapr, "tagged")).etag;
  holds("state: get has an etag", stale !== undefined && stale !== "", stale);
  equal("state: right etag saves", await state.save(STORE, [{ key: "tagged", value: "two", etag: stale }]), {});
  let conflict = await error(state.save(STORE, [{ key: "tagged", value: "three", etag: stale }]));
  holds("state: stale etag conflicts", CONFLICT.test(conflict), conflict);
  conflict = await error(state.delete(STORE, "tagged", { etag: stale }));
  holds("state: delete with a stale etag conflicts", CONFLICT.test(conflict), conflict);
  equal("state: a conflict leaves the value", await state.get(STORE, "tagged"), "two");
  await state.delete(STORE, "tagged", { etag: (await tagged(dapr, "tagged")).etag });
  equal("state: right etag deletes", await state.get(STORE, "tagged"), "");
}

async function firstWrite({ state }) {
  const options = { concurrency: StateConcurrencyEnum.CONCURRENCY_FIRST_WRITE };
  await state.save(STORE, [{ key: "first", value: "one", options }]);
  const conflict = await error(state.save(STORE, [{ key: "first", value: "two", options }]));
  holds("state: first write wins", CONFLICT.test(conflict), conflict);
}

async function many({ state }) {
  const read = async (...keys) =>
    Object.fromEntries((await state.getBulk(STORE, keys)).map(({ key, data }) => [key, data || null]));
  await state.save(STORE, [
    { key: "bulk-1", value: "one" },
    { key: "bulk-2", value: { two: 2 } },
  ]);
  equal("state: bulk save and bulk get", await read("bulk-1", "bulk-2", "bulk-3"), {
    "bulk-1": "one",
    "bulk-2": { two: 2 },
    "bulk-3": null,
  });
  await state.transaction(STORE, [
    { operation: "upsert", request: { key: "bulk-3", value: "three" } },
    { operation: "delete", request: { key: "bulk-1" } },
  ]);
  equal("state: transaction upserts and deletes", await read("bulk-1", "bulk-3"), { "bulk-1": null, "bulk-3": "three" });
  await error(
    state.transaction(STORE, [
      { operation: "upsert", request: { key: "bulk-1", value: "changed" } },
      { operation: "upsert", request: { key: "bulk-3", value: "changed", etag: "stale" } },
    ]),
  );
  equal("state: a failed transaction changes nothing", await read("bulk-1", "bulk-3"), {
    "bulk-1": null,
    "bulk-3": "three",
  });
}

async function timeToLive({ state }) {
  await state.save(STORE, [{ key: "short", value: "lived", metadata: { ttlInSeconds: "1" } }]);
  equal("state: a value with a ttl is there", await state.get(STORE, "short"), "lived");
  await waitFor("end of a value", async () => (await state.get(STORE, "short")) === "");
  holds("state: a ttl ends a value", true);
}

module.exports = { prove };
