/**
 * What a check of the machine found.
 *
 * @module
 */

/** One precondition. */
export interface Finding {
  /** What was looked at, in a few words. */
  readonly name: string;
  /** `warn`: only something that not everybody needs is missing. */
  readonly status: "ok" | "warn" | "fail";
  /** What was found, one line. */
  readonly detail: string;
  /** What to do, one line; there is one whenever it is not `ok`. */
  readonly remedy?: string;
}

/** All is well. */
export function ok(name: string, detail: string): Finding {
  return { name, status: "ok", detail };
}

/** Something that not everybody needs is missing. */
export function warn(name: string, detail: string, remedy: string): Finding {
  return { name, status: "warn", detail, remedy };
}

/** Something does not work without it. */
export function fail(name: string, detail: string, remedy: string): Finding {
  return { name, status: "fail", detail, remedy };
}
