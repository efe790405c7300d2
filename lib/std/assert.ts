/**
 * The typed face of the assertions from @std/assert, which npm carries without types.
 *
 * @module
 */

// @ts-types="./assert.d.ts"
export * from "deno-std/assert/mod.js";
