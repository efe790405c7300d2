/**
 * The typed face of `parseArgs` from @std/cli, which npm carries without types.
 *
 * @module
 */

// @ts-types="./parse_args.d.ts"
export { parseArgs } from "deno-std/cli/parse_args.js";
export type { ParsedArgs, ParseOptions } from "./parse_args.d.ts";
