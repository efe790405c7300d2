/**
 * Content that nothing makes smaller.
 *
 * @module
 */

/** Text that hardly compresses, neither in ZFS nor by ssh. */
export function noise(length: number): string {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return Array.from(bytes, (byte) => String.fromCharCode(33 + byte % 90)).join("");
}
