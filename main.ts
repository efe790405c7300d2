/**
 * The `enroot` command.
 *
 * @module
 */

import { dispatch } from "./lib/commands/dispatch.ts";

if (import.meta.main) {
  const code = await dispatch(Deno.args);
  // Only a process that ends by itself leaves what was compiled in the runtime's cache; all others end
  // here, whatever may still be under way in them.
  if (Deno.args[0] !== "internal-warm") Deno.exit(code);
}
