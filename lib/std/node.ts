/**
 * `node:crypto` and `node:zlib`, loaded at their first use.
 *
 * An import of one of them costs every start of the program as much as a whole start of the runtime,
 * whether it is used or not. So does one of `node:process`: it is the global that is lazy.
 *
 * @module
 */

import type { Hash } from "node:crypto";

/** A running sha256 sum. */
export function createSha256(): Hash {
  // deno-lint-ignore no-process-global
  return process.getBuiltinModule("node:crypto").createHash("sha256");
}

let loadedZlib: typeof import("node:zlib") | undefined;

/** All of `node:zlib`. */
export function zlib(): typeof import("node:zlib") {
  // deno-lint-ignore no-process-global
  return loadedZlib ??= process.getBuiltinModule("node:zlib");
}
