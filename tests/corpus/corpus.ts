/**
 * The corpus: archives that are odd or made to do harm, each with what must come of it, written by
 * hand.
 *
 * What becomes of an archive is a list of lines, one a path, sorted, without the root folder:
 *
 *     d 755 etc                     a folder
 *     f 644 etc/motd hello          a file and its content, as its size when it is long
 *     f 644 etc/issue = etc/motd    a further name of a file
 *     l etc/link -> motd            a symlink
 *     p 644 pipe, c 600 null        other kinds
 *
 * Then follow a time that is not {@linkcode time}, but not of folders (`@12.5`); an owner that is not
 * root (`1000:1000`); extended attributes (`user.a=0x31`). In names and contents, bytes that are not
 * printable are shown as `\xHH`.
 *
 * @module
 */

import { rawMember } from "../support/raw_tar.ts";

/** Bytes of our own. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** The time that members have which are not given another. */
export const time = 1_000_000_000;

/** One layer: a tar; or one that is stored in a certain way. */
export type Layer = Bytes | {
  readonly tar: Bytes;
  readonly compression: "gzip" | "zstd";
  readonly stored: Bytes;
};

/** One image's layers and what must come of them. */
export interface Case {
  /** What the archive does, as the end of a sentence. */
  readonly what: string;
  /** Lowest first. */
  readonly layers: readonly Layer[];
  /** What becomes of it, or a part of the message that refuses it. */
  readonly gives: readonly string[] | { readonly refused: string };
  /**
   * Absent where umoci does the same. Otherwise what it does instead, and why we do not: checked to
   * be true, so that it is removed when it is no longer.
   */
  readonly umoci?: string;
}

/** A case that is accepted. */
export function gives(
  what: string,
  layers: readonly Layer[],
  lines: readonly string[],
  umoci?: string,
): Case {
  return { what, layers, gives: lines, ...(umoci === undefined ? {} : { umoci }) };
}

/** A case that is refused. @param refused a part of the message */
export function refused(
  what: string,
  layers: readonly Layer[],
  refused: string,
  umoci?: string,
): Case {
  return { what, layers, gives: { refused }, ...(umoci === undefined ? {} : { umoci }) };
}

/** Bytes, one after the other. Text is UTF-8. */
export function join(...parts: readonly (Uint8Array | string)[]): Bytes {
  const encoded = parts.map((part) =>
    typeof part === "string" ? new TextEncoder().encode(part) : part
  );
  const whole = new Uint8Array(encoded.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of encoded) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Bytes by number. */
export function bytes(...values: readonly number[]): Bytes {
  return new Uint8Array(values);
}

/** An archive: the members, then the blocks of zeroes that end it. */
export function tar(...members: readonly Uint8Array[]): Bytes {
  return join(...members, new Uint8Array(1024));
}

/** A file. */
export function file(name: string | Uint8Array, content: string | Uint8Array = ""): Bytes {
  return rawMember({ name, content });
}

/** A folder. */
export function folder(name: string, mode = 0o755): Bytes {
  return rawMember({ name, type: "5", mode });
}

/** A symlink. */
export function symlink(name: string, linkname: string): Bytes {
  return rawMember({ name, type: "2", linkname });
}

/** A hard link. */
export function hardlink(name: string, linkname: string): Bytes {
  return rawMember({ name, type: "1", linkname });
}

/** An extended header of pax with records in order, the same keyword twice if need be. */
export function pax(
  records: readonly (readonly [keyword: string, value: string | Uint8Array])[],
  type = "x",
): Bytes {
  const lines = records.map(([keyword, value]) => {
    const rest = join(` ${keyword}=`, value, "\n");
    let length = rest.length + 1;
    while (`${length}`.length + rest.length !== length) length = `${length}`.length + rest.length;
    return join(`${length}`, rest);
  });
  return rawMember({ name: "PaxHeaders/x", type, content: join(...lines) });
}

/** An extended header whose content is what is given, right or wrong. */
export function rawRecords(content: string | Uint8Array, type = "x"): Bytes {
  return rawMember({ name: "PaxHeaders/x", type, content });
}

/** A long name (`L`) or a long link (`K`) of GNU, with the NUL that ends it unless said otherwise. */
export function gnuLong(type: "L" | "K", name: string, end = "\0"): Bytes {
  return rawMember({ name: "././@LongLink", type, content: `${name}${end}`, magic: "ustar  \0" });
}
