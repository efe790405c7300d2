/**
 * Keeping secrets out of messages.
 *
 * @module
 */

import { keys } from "./keys.ts";

/**
 * A text without the credentials of URLs in it: what is in front of an `@` becomes `***`.
 *
 * A proxy may be written without a scheme, and a password may hold anything, `@` and `/` included, so
 * everything up to the last `@` goes.
 */
export function maskCredentials(text: string): string {
  return text.replaceAll(/([a-z][a-z0-9+.-]*:\/\/|^)\S*@/gi, "$1***@");
}

/** A value as it may be shown in a message: those of other programs can hold credentials. */
export function shownValue(key: string, value: string): string {
  return Object.hasOwn(keys, key) ? value : maskCredentials(value);
}
