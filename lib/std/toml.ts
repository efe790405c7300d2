/**
 * The typed face of `parse` from @std/toml, which npm carries without types.
 *
 * @module
 */

// @ts-types="./toml.d.ts"
export { parse } from "deno-std/toml/parse.js";
