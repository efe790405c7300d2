/**
 * zod's small form, told not to write and compile a function for each schema: here a schema checks one
 * document, and is done.
 *
 * @module
 */

import { config } from "zod-mini";

config({ jitless: true });

export * from "zod-mini";
