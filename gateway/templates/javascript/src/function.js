import { open } from "wasi:keyvalue/store@0.2.0-draft2";

/** Answers a request. Messages of a topic and ticks of a schedule are requests, too: POST to the path of their trigger. */
export async function handle(request) {
  const store = open("statestore");
  const saved = store.get("count");
  const count = (saved ? Number(new TextDecoder().decode(saved)) : 0) + 1;
  store.set("count", new TextEncoder().encode(String(count)));
  return new Response(`${request.method} ${new URL(request.url).pathname}: call ${count}\n`);
}

globalThis.addEventListener?.("fetch", (event) => event.respondWith(handle(event.request)));
