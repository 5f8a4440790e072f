// The bridge to the sidecar: what a function can call, through proxy-wasm; requests come in through index.ts.
// A call that the sidecar refuses, or that fails, ends the function: its caller gets 500, and the sidecar's log says why.

/** What the function is asked. */
export class Request {
  method: string = "";
  /** With its query. */
  path: string = "";
  headers: Map<string, string> = new Map();
  body: string = "";
}

/** What it answers. */
export class Response {
  constructor(public status: i32, public body: string, public headers: Map<string, string> = new Map()) {}

  static text(status: i32, body: string): Response {
    return Response.of(status, body, "text/plain; charset=utf-8");
  }

  static json(status: i32, body: string): Response {
    return Response.of(status, body, "application/json");
  }

  private static of(status: i32, body: string, kind: string): Response {
    const response = new Response(status, body);
    response.headers.set("content-type", kind);
    return response;
  }
}

/** The value of a key; empty when there is none. Needs the grant `state: [STORE:read]`. */
export function getState(store: string, key: string): string {
  const s = new Text(store), k = new Text(key);
  return given("getState", proxy_get_state(s.at, s.length, k.at, k.length, PLACE, LENGTH));
}

/** Saves the value of a key. Needs the grant `state: [STORE]`. */
export function setState(store: string, key: string, value: string): void {
  const s = new Text(store), k = new Text(key), v = new Text(value);
  check("setState", proxy_set_state(s.at, s.length, k.at, k.length, v.at, v.length));
}

/** Deletes a key, if it is there. Needs the grant `state: [STORE]`. */
export function deleteState(store: string, key: string): void {
  const s = new Text(store), k = new Text(key);
  check("deleteState", proxy_delete_state(s.at, s.length, k.at, k.length));
}

/** Publishes a message. Needs the grant `publish: [PUBSUB/TOPIC]`. */
export function publish(pubsub: string, topic: string, data: string, contentType: string = "text/plain"): void {
  const p = new Text(pubsub), t = new Text(topic), d = new Text(data), c = new Text(contentType);
  check("publish", proxy_publish_event(p.at, p.length, t.at, t.length, d.at, d.length, c.at, c.length, 0, 0));
}

/** Reads a secret of one value. Needs the grant `secrets: [STORE/NAME]`. */
export function getSecret(store: string, name: string): string {
  const s = new Text(store), n = new Text(name);
  check("getSecret", proxy_get_secret(s.at, s.length, n.at, n.length, PLACE, LENGTH));
  const values = pairs().values();
  return values.length > 0 ? values[0] : "";
}

/** Calls another function, or an application. Needs the grant `invoke: [ID]`. */
export function invoke(id: string, method: string, body: string): string {
  const i = new Text(id), m = new Text(method), b = new Text(body);
  return given("invoke", proxy_invoke_service(i.at, i.length, m.at, m.length, b.at, b.length, PLACE, LENGTH));
}

/** Calls an output binding. Needs the grant `bindings: [NAME]`. */
export function bind(name: string, operation: string, data: string): string {
  const n = new Text(name), o = new Text(operation), d = new Text(data);
  return given("bind", proxy_invoke_binding(n.at, n.length, o.at, o.length, d.at, d.length, 0, 0, PLACE, LENGTH));
}

/** Writes a line into the sidecar's log. */
export function log(text: string): void {
  logAt(2, text);
}

// What the sidecar offers. Texts are pointer and length.
@external("env", "proxy_log")
declare function proxy_log(level: u32, text: usize, length: u32): u32;
@external("env", "proxy_get_header_map_pairs")
export declare function proxy_get_header_map_pairs(map: u32, place: usize, length: usize): u32;
@external("env", "proxy_get_buffer_bytes")
export declare function proxy_get_buffer_bytes(buffer: u32, start: u32, most: u32, place: usize, length: usize): u32;
@external("env", "proxy_send_local_response")
export declare function proxy_send_local_response(
  status: u32, details: usize, detailsLength: u32, body: usize, bodyLength: u32,
  headers: usize, headersLength: u32, grpcStatus: i32): u32;
@external("env", "proxy_get_state")
declare function proxy_get_state(
  store: usize, storeLength: u32, key: usize, keyLength: u32, place: usize, length: usize): u32;
@external("env", "proxy_set_state")
declare function proxy_set_state(
  store: usize, storeLength: u32, key: usize, keyLength: u32, value: usize, valueLength: u32): u32;
@external("env", "proxy_delete_state")
declare function proxy_delete_state(store: usize, storeLength: u32, key: usize, keyLength: u32): u32;
@external("env", "proxy_publish_event")
declare function proxy_publish_event(
  pubsub: usize, pubsubLength: u32, topic: usize, topicLength: u32, data: usize, dataLength: u32,
  contentType: usize, contentTypeLength: u32, metadata: usize, metadataLength: u32): u32;
@external("env", "proxy_get_secret")
declare function proxy_get_secret(
  store: usize, storeLength: u32, name: usize, nameLength: u32, place: usize, length: usize): u32;
@external("env", "proxy_invoke_service")
declare function proxy_invoke_service(
  id: usize, idLength: u32, method: usize, methodLength: u32, body: usize, bodyLength: u32,
  place: usize, length: usize): u32;
@external("env", "proxy_invoke_binding")
declare function proxy_invoke_binding(
  name: usize, nameLength: u32, operation: usize, operationLength: u32, data: usize, dataLength: u32,
  metadata: usize, metadataLength: u32, place: usize, length: usize): u32;

/** A text as UTF-8, for the time of a call. */
export class Text {
  private bytes: ArrayBuffer;

  constructor(text: string) {
    this.bytes = String.UTF8.encode(text);
  }

  get at(): usize {
    return changetype<usize>(this.bytes);
  }

  get length(): u32 {
    return this.bytes.byteLength;
  }
}

/** Where the sidecar says what it gives back, in memory of `proxy_on_memory_allocate`. */
export const PLACE: usize = memory.data(8);
export const LENGTH: usize = PLACE + 4;

export function check(call: string, status: u32): void {
  if (status != 0) throw new Error(`${call} failed with status ${status}: the sidecar's log says why`);
}

/** What the sidecar gave back, as text. */
export function given(call: string, status: u32): string {
  check(call, status);
  const place = load<u32>(PLACE);
  if (place == 0) return "";
  const text = String.UTF8.decodeUnsafe(place, load<u32>(LENGTH));
  heap.free(place);
  return text;
}

/** What the sidecar gave back, as a list of pairs: how many, both lengths of each, then each text with a NUL behind it. */
export function pairs(): Map<string, string> {
  const list = new Map<string, string>();
  const place: usize = load<u32>(PLACE);
  if (place == 0) return list;
  const count = load<u32>(place);
  let lengths = place + 4, at = lengths + 8 * count;
  for (let number: u32 = 0; number < count; number++, lengths += 8) {
    const key = String.UTF8.decodeUnsafe(at, load<u32>(lengths));
    at += load<u32>(lengths) + 1;
    const value = String.UTF8.decodeUnsafe(at, load<u32>(lengths, 4));
    at += load<u32>(lengths, 4) + 1;
    list.set(key, value);
  }
  heap.free(place);
  return list;
}

export function encode(list: Map<string, string>): Uint8Array {
  const keys = list.keys(), texts = new Array<ArrayBuffer>();
  let size = 4;
  for (let number = 0; number < keys.length; number++) {
    texts.push(String.UTF8.encode(keys[number]));
    texts.push(String.UTF8.encode(list.get(keys[number])));
  }
  for (let number = 0; number < texts.length; number++) size += 4 + texts[number].byteLength + 1;
  const bytes = new Uint8Array(size);
  store<u32>(bytes.dataStart, keys.length);
  let at = 4 + 4 * texts.length;
  for (let number = 0; number < texts.length; number++) {
    const text = texts[number];
    store<u32>(bytes.dataStart + 4 + 4 * number, text.byteLength);
    memory.copy(bytes.dataStart + at, changetype<usize>(text), text.byteLength);
    at += text.byteLength + 1;
  }
  return bytes;
}

export function logAt(level: u32, line: string): void {
  const text = new Text(line);
  proxy_log(level, text.at, text.length);
}
