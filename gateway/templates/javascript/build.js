// Makes the component: the function, the JavaScript engine that runs it, and what wit/ says it imports and exports.

import { writeFile } from "node:fs/promises";

import { componentize } from "@bytecodealliance/componentize-js";

const { component } = await componentize({ sourcePath: "src/function.js", witPath: "wit", worldName: "function" });
await writeFile("my-function.wasm", component);
