/**
 * How values of the configuration are written, each a parser that names what it would take.
 *
 * They are functions, and not schemas of a library: every command reads the configuration, and
 * loading a library of schemas takes as long as half a start of the runtime.
 *
 * @module
 */

/** What a value was not. */
export class Refusal {
  /** @param wanted what it would have to be, to end the sentence "it must be" */
  constructor(readonly wanted: string) {}
}

/** Reads a value as text. */
export type Parser<T> = (text: string) => T | Refusal;

/** A parser of what a pattern fits. */
function matching<T>(pattern: RegExp, wanted: string, read: (text: string) => T): Parser<T> {
  return (text) => pattern.test(text) ? read(text) : new Refusal(wanted);
}

/** What a parser gives, if it is within bounds. */
function within(
  parser: Parser<number>,
  isWithin: (value: number) => boolean,
  wanted: string,
): Parser<number> {
  return (text) => {
    const value = parser(text);
    return value instanceof Refusal || isWithin(value) ? value : new Refusal(wanted);
  };
}

/** A whole number of zero or more. */
export const count: Parser<number> = matching(/^\d{1,15}$/, "a whole number", Number);

/** A number of processors; 0 stands for all that this process may run on. */
export const processors: Parser<number> = matching(
  /^\d{1,15}$/,
  "a whole number",
  (text) => Number(text) || navigator.hardwareConcurrency,
);

/** A switch. */
export const flag: Parser<boolean> = matching(
  /^(?:y|yes|t|true|on|1|n|no|f|false|off)$/i,
  "yes or no",
  (text) => /^(?:[yt1]|on)/i.test(text),
);

/** An absolute path. */
export const path: Parser<string> = matching(/^\//, "an absolute path", tidyPath);

/** A path without doubled and final slashes: it is compared and shown in one form. */
export function tidyPath(path: string): string {
  return path.replaceAll(/\/{2,}/g, "/").replace(/(.)\/$/, "$1");
}

/** Words separated by white space. */
export function words(text: string): readonly string[] {
  return Object.freeze(text.split(/\s+/).filter((word) => word !== ""));
}

/** Any text that is not empty. */
export const text: Parser<string> = matching(/./s, "some text", (text) => text);

/** One of several words of small letters, which may be written in any case. */
export function oneOf<const W extends string>(allowed: readonly W[], wanted: string): Parser<W> {
  return (text) => allowed.find((word) => word === text.toLowerCase()) ?? new Refusal(wanted);
}

/** Seconds, or `inf` for no end. */
export const secondsOrForever: Parser<number> = matching(
  /^(?:\d{1,15}|inf)$/,
  "a whole number of seconds, or inf",
  (text) => text === "inf" ? Infinity : Number(text),
);

/** A share as `80`, `80%` or `0.80`; the result is from 0 to 1. */
export const share: Parser<number> = within(
  matching(
    /^(?:\d{1,3}%?|0?\.\d+|[01]\.0+)$/,
    "a share such as 80, 80% or 0.80",
    (text) => text.includes(".") ? Number(text) : Number(text.replace("%", "")) / 100,
  ),
  (value) => value <= 1,
  "a share of at most 100%",
);

const units: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** Bytes, with a unit of K, M, G or T (powers of 1024) or none. */
export const bytes: Parser<number> = within(
  matching(
    /^\d{1,15}[KMGT]?$/i,
    "a number of bytes such as 500M or 20G",
    (text) => parseInt(text, 10) * (units[text.at(-1)?.toUpperCase() ?? ""] ?? 1),
  ),
  (value) => value <= Number.MAX_SAFE_INTEGER,
  "a number of bytes of at most 8191T",
);

/** A ratio of one or more. */
export const ratio: Parser<number> = within(
  matching(/^\d{1,9}(?:\.\d+)?$/, "a number such as 100", Number),
  (value) => value >= 1,
  "a number of at least 1",
);
