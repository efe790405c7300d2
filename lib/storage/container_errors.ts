/**
 * The refusals that every backend words alike.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";

/** The error for a name that is in use. */
export function nameTaken(name: string): EnrootError {
  return new EnrootError(
    "exists",
    `container '${name}' exists already (--force replaces it, --name chooses another name)`,
  );
}

/** The error for a name that is not in use. */
export function noSuchContainer(name: string): EnrootError {
  return new EnrootError("not-found", `no container '${name}' (enroot list shows those there are)`);
}

/** The error for a template that is not there, or no longer. */
export function noSuchTemplate(id: string | undefined): EnrootError {
  return new EnrootError(
    "no-template",
    `there is no template ${id ?? "without an id"} in the store`,
  );
}
