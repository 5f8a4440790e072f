// The sidecar of tests: what the function imports from `wasi:keyvalue`, in memory.

import { register } from "node:module";

const KEYVALUE = `
  const stores = new Map();
  export const open = (name) => {
    if (!stores.has(name)) stores.set(name, new Map());
    const store = stores.get(name);
    return {
      get: (key) => store.get(key),
      set: (key, value) => void store.set(key, value),
      delete: (key) => void store.delete(key),
      exists: (key) => store.has(key),
    };
  };`;

const hooks = `
  export async function resolve(specifier, context, next) {
    if (!specifier.startsWith("wasi:")) return next(specifier, context);
    const source = ${JSON.stringify(KEYVALUE)};
    return { url: "data:text/javascript," + encodeURIComponent(source), shortCircuit: true };
  }`;

register(`data:text/javascript,${encodeURIComponent(hooks)}`);
