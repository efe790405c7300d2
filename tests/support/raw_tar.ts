/**
 * Tar archives byte by byte, for what no well-behaved program writes.
 *
 * @module
 */

/** One member; numbers are written in octal, content and size need not agree. */
export interface RawMember {
  readonly name: string | Uint8Array;
  readonly type?: string;
  readonly content?: string | Uint8Array;
  /** In place of the content's size. */
  readonly size?: number | string | Uint8Array;
  readonly mode?: number;
  readonly linkname?: string;
  readonly mtime?: number;
  /** `ustar\0` and version, unless said otherwise. */
  readonly magic?: string;
  /** Bytes to put somewhere in the header, before the checksum. */
  readonly patches?: readonly (readonly [at: number, bytes: string | Uint8Array])[];
  readonly checksum?: string;
}

const bytesOf = (value: string | Uint8Array): Uint8Array =>
  typeof value === "string" ? new TextEncoder().encode(value) : value;

/** A member's blocks. */
export function rawMember(member: RawMember): Uint8Array<ArrayBuffer> {
  const content = bytesOf(member.content ?? "");
  const header = new Uint8Array(512);
  const put = (at: number, value: string | Uint8Array): void => header.set(bytesOf(value), at);
  const octal = (number: number, width: number): string =>
    number.toString(8).padStart(width - 1, "0");
  put(0, bytesOf(member.name).subarray(0, 100));
  put(100, octal(member.mode ?? 0o644, 8));
  put(108, octal(0, 8));
  put(116, octal(0, 8));
  const size = member.size ?? content.length;
  put(124, typeof size === "number" ? octal(size, 12) : size);
  put(136, octal(member.mtime ?? 1_000_000_000, 12));
  put(156, member.type ?? "0");
  put(157, (member.linkname ?? "").slice(0, 100));
  put(257, member.magic ?? "ustar\0" + "00");
  for (const [at, bytes] of member.patches ?? []) put(at, bytes);
  put(148, "        ");
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(148, member.checksum ?? `${octal(sum, 7)}\0 `);
  const blocks = Math.ceil(content.length / 512);
  const whole = new Uint8Array(512 + blocks * 512);
  whole.set(header);
  whole.set(content, 512);
  return whole;
}

/** A pax header for the next member. */
export function rawPax(
  records: Readonly<Record<string, string>>,
  type = "x",
): Uint8Array<ArrayBuffer> {
  const text = Object.entries(records).map(([keyword, value]) => {
    const rest = ` ${keyword}=${value}\n`;
    const length = new TextEncoder().encode(rest).length;
    let total = length;
    while (String(total).length + length !== total) total = String(total).length + length;
    return `${total}${rest}`;
  }).join("");
  return rawMember({ name: "PaxHeaders/x", type, content: text });
}

/** An archive: the members, then two blocks of zeroes. */
export function rawArchive(...members: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const size = members.reduce((sum, { length }) => sum + length, 1024);
  const archive = new Uint8Array(size);
  let at = 0;
  for (const member of members) {
    archive.set(member, at);
    at += member.length;
  }
  return archive;
}
