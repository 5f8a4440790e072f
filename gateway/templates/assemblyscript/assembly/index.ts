// How the sidecar calls the function: the callbacks of proxy-wasm.

import { handle } from "./function";
import {
  LENGTH, PLACE, Request, Text, check, encode, given, logAt, pairs,
  proxy_get_buffer_bytes, proxy_get_header_map_pairs, proxy_send_local_response,
} from "./ottavo";

/** Reads the whole request, asks the function, and answers. */
function answer(): u32 {
  const request = new Request();
  check("headers", proxy_get_header_map_pairs(0, PLACE, LENGTH));
  request.headers = pairs();
  request.method = request.headers.has(":method") ? request.headers.get(":method") : "";
  request.path = request.headers.has(":path") ? request.headers.get(":path") : "";
  const status = proxy_get_buffer_bytes(0, 0, u32.MAX_VALUE, PLACE, LENGTH);
  if (status != NOT_FOUND) request.body = given("body", status);
  const response = handle(request);
  const body = new Text(response.body), headers = encode(response.headers);
  proxy_send_local_response(response.status, 0, 0, body.at, body.length, headers.dataStart, headers.length, -1);
  return PAUSE;
}

const CONTINUE: u32 = 0;
const PAUSE: u32 = 1;
const NOT_FOUND: u32 = 1;

export function proxy_abi_version_0_2_1(): void {}

export function proxy_on_memory_allocate(size: u32): usize {
  return heap.alloc(size);
}

// The function answers when the whole request is there: with its headers, its body, or its trailers.

export function proxy_on_request_headers(context: u32, count: u32, isEnd: u32): u32 {
  return isEnd ? answer() : CONTINUE;
}

export function proxy_on_request_body(context: u32, size: u32, isEnd: u32): u32 {
  return isEnd ? answer() : CONTINUE;
}

export function proxy_on_request_trailers(context: u32, count: u32): u32 {
  return answer();
}

function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  logAt(4, `${message ? message : "abort"} (${file ? file : ""}:${line}:${column})`);
  unreachable();
}
