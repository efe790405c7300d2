/**
 * The `enroot` command.
 *
 * @module
 */

import { dispatch } from "./lib/commands/dispatch.ts";

if (import.meta.main) Deno.exit(await dispatch(Deno.args));
