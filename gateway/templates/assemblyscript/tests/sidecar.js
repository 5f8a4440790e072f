// The sidecar of tests: runs the built module, keeps state in memory, and what was sent for the test to look at.

import { readFile } from "node:fs/promises";

const OK = 0, FAILED = 10;

export class Sidecar {
  /** By `store/key`. */
  state = new Map();
  /** By `store/name`. */
  secrets = new Map();
  /** What functions, applications and bindings answer, by id or name; without an answer a call fails. */
  answers = new Map();
  /** What was published, invoked and bound. */
  calls = [];
  lines = [];
  #request = {};
  #response;
  #guest;

  static async start(path) {
    const sidecar = new Sidecar();
    const module = await WebAssembly.compile(await readFile(path));
    sidecar.#guest = (await WebAssembly.instantiate(module, { env: sidecar.#imports() })).exports;
    sidecar.#guest._initialize?.();
    return sidecar;
  }

  /** Sends a request; gives status and body. */
  call(method, path, body = "") {
    this.#request = { pairs: [[":method", method], [":path", path]], body };
    this.#response = undefined;
    const length = Buffer.byteLength(body);
    this.#guest.proxy_on_request_headers(2, 2, length === 0 ? 1 : 0);
    if (length > 0) this.#guest.proxy_on_request_body(2, length, 1);
    return this.#response;
  }

  #bytes(at, length) {
    return Buffer.from(this.#guest.memory.buffer, at, length);
  }

  #text(at, length) {
    return this.#bytes(at, length).toString();
  }

  #give(value, place, length) {
    if (value === undefined) return FAILED;
    const bytes = Buffer.from(value);
    const at = bytes.length === 0 ? 0 : this.#guest.proxy_on_memory_allocate(bytes.length);
    this.#bytes(at, bytes.length).set(bytes);
    new DataView(this.#guest.memory.buffer).setUint32(place, at, true);
    new DataView(this.#guest.memory.buffer).setUint32(length, bytes.length, true);
    return OK;
  }

  #call(to, what, data) {
    this.calls.push({ to, what, data });
    return OK;
  }

  #imports() {
    const text = (at, length) => this.#text(at, length);
    return {
      proxy_log: (level, ...line) => this.lines.push(text(...line)) && OK,
      proxy_get_header_map_pairs: (map, place, length) => this.#give(encode(this.#request.pairs), place, length),
      proxy_get_buffer_bytes: (buffer, start, most, place, length) => this.#give(this.#request.body, place, length),
      proxy_send_local_response: (status, d, dn, b, bn) => (this.#response = { status, body: text(b, bn) }) && OK,
      proxy_get_state: (s, sn, k, kn, place, length) =>
        this.#give(this.state.get(`${text(s, sn)}/${text(k, kn)}`) ?? "", place, length),
      proxy_set_state: (s, sn, k, kn, v, vn) => this.state.set(`${text(s, sn)}/${text(k, kn)}`, text(v, vn)) && OK,
      proxy_delete_state: (s, sn, k, kn) => (this.state.delete(`${text(s, sn)}/${text(k, kn)}`), OK),
      proxy_publish_event: (p, pLen, t, tLen, d, dLen) => this.#call(text(p, pLen), text(t, tLen), text(d, dLen)),
      proxy_get_secret: (s, sn, n, nn, place, length) => {
        const secret = this.secrets.get(`${text(s, sn)}/${text(n, nn)}`);
        return this.#give(secret && encode([[text(n, nn), secret]]), place, length);
      },
      proxy_invoke_service: (i, iN, m, mn, b, bn, place, length) =>
        this.#call(text(i, iN), text(m, mn), text(b, bn)) || this.#give(this.answers.get(text(i, iN)), place, length),
      proxy_invoke_binding: (n, nn, o, on, d, dn, x, xn, place, length) =>
        this.#call(text(n, nn), text(o, on), text(d, dn)) || this.#give(this.answers.get(text(n, nn)), place, length),
    };
  }
}

/** A list of pairs: how many, both lengths of each, then each text with a NUL behind it. */
function encode(pairs) {
  const texts = pairs.flat().map((text) => Buffer.from(text));
  const head = Buffer.alloc(4 + 4 * texts.length);
  head.writeUInt32LE(pairs.length);
  texts.forEach((text, number) => head.writeUInt32LE(text.length, 4 + 4 * number));
  return Buffer.concat([head, ...texts.flatMap((text) => [text, Buffer.from([0])])]);
}
