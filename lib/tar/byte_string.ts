/**
 * Names as bytes: archives hold names in any encoding, and the kernel takes any.
 *
 * @module
 */

declare const kind: unique symbol;

/** Bytes as a string, one character (U+0000 to U+00FF) a byte: easy to split, compare and key by. */
export type ByteString = string & { readonly [kind]: "byte-string" };

const chunk = 8192;

/** Bytes as a byte string. @param start and `end`: a part of them */
export function byteString(bytes: Uint8Array, start = 0, end = bytes.length): ByteString {
  let text = "";
  for (let at = start; at < end; at += chunk) {
    // Called for every field of every header: spreading the bytes takes several times as long.
    const part = bytes.subarray(at, Math.min(at + chunk, end)) as unknown as number[];
    text += String.fromCharCode.apply(null, part);
  }
  return text as ByteString;
}

/** Text as the byte string of its UTF-8. */
export function utf8(text: string): ByteString {
  return byteString(new TextEncoder().encode(text));
}

/** The bytes of a byte string, with a NUL at the end for the kernel. */
export function toCString(text: ByteString): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length + 1);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

/** A path of the kernel's longest, with its NUL. */
const scratch = new Uint8Array(4096);

/**
 * As {@linkcode toCString}, in memory that is used again: good until the next call. For what is done for
 * each file, where memory of its own takes as long as a short system call.
 */
export function toBriefCString(text: ByteString): Uint8Array<ArrayBuffer> {
  if (text.length >= scratch.length) return toCString(text);
  for (let at = 0; at < text.length; at++) scratch[at] = text.charCodeAt(at);
  scratch[text.length] = 0;
  return scratch;
}

/** A byte string for people: as UTF-8, what is none shown as U+FFFD. */
export function display(text: ByteString): string {
  return new TextDecoder().decode(toCString(text).subarray(0, -1));
}
