/**
 * How values of the configuration are written, each a parser that names what it would take.
 *
 * @module
 */

import * as z from "zod/mini";

/** A whole number of zero or more. */
export const count = z.pipe(
  z.string().check(z.regex(/^\d{1,15}$/, "a whole number")),
  z.transform(Number),
);

/** A number of processors; 0 stands for all that this process may run on. */
export const processors = z.pipe(
  z.string().check(z.regex(/^\d{1,15}$/, "a whole number")),
  z.transform((text) => Number(text) || navigator.hardwareConcurrency),
);

/** A switch: the words for off are taken as unset before any value is looked at. */
export const flag = z.pipe(
  z.string().check(z.regex(/^(?:y|yes|t|true|1)$/i, "yes or no")),
  z.transform(() => true),
);

/** An absolute path. */
export const path = z.pipe(
  z.string().check(z.regex(/^\//, "an absolute path")),
  z.transform(tidyPath),
);

/** A path without doubled and final slashes: it is compared and shown in one form. */
export function tidyPath(path: string): string {
  return path.replaceAll(/\/{2,}/g, "/").replace(/(.)\/$/, "$1");
}

/** Words separated by white space. */
export const words = z.pipe(
  z.string(),
  z.transform((text) => Object.freeze(text.split(/\s+/).filter((word) => word !== ""))),
);

/** Any text that is not empty. */
export const text = z.string().check(z.minLength(1, "some text"));

/** Seconds, or `inf` for no end. */
export const secondsOrForever = z.pipe(
  z.string().check(z.regex(/^(?:\d{1,15}|inf)$/, "a whole number of seconds, or inf")),
  z.transform((text) => text === "inf" ? Infinity : Number(text)),
);

/** A share as `80`, `80%` or `0.80`; the result is from 0 to 1. */
export const share = z.pipe(
  z.pipe(
    z.string().check(
      z.regex(/^(?:\d{1,3}%?|0?\.\d+|[01]\.0+)$/, "a share such as 80, 80% or 0.80"),
    ),
    z.transform((text) => text.includes(".") ? Number(text) : Number(text.replace("%", "")) / 100),
  ),
  z.number().check(z.lte(1, "a share of at most 100%")),
);

const units: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** Bytes, with a unit of K, M, G or T (powers of 1024) or none. */
export const bytes = z.pipe(
  z.pipe(
    z.string().check(z.regex(/^\d{1,15}[KMGT]?$/i, "a number of bytes such as 500M or 20G")),
    z.transform((text) => parseInt(text, 10) * (units[text.at(-1)?.toUpperCase() ?? ""] ?? 1)),
  ),
  z.number().check(z.lte(Number.MAX_SAFE_INTEGER, "a number of bytes of at most 8191T")),
);

/** A ratio of one or more. */
export const ratio = z.pipe(
  z.pipe(
    z.string().check(z.regex(/^\d{1,9}(?:\.\d+)?$/, "a number such as 100")),
    z.transform(Number),
  ),
  z.number().check(z.gte(1, "a number of at least 1")),
);
