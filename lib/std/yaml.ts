/**
 * The typed face of `parse` from @std/yaml, which npm carries without types.
 *
 * @module
 */

// @ts-types="./yaml.d.ts"
export { parse } from "deno-std/yaml/parse.js";
export type { ParseOptions } from "./yaml.d.ts";
