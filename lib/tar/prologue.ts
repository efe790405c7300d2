/**
 * What stands before an entry and says more of it than its header can: extended headers of pax, and
 * GNU's long names.
 *
 * @module
 */

import { type ByteString, byteString } from "./byte_string.ts";
import { TarError } from "./entry.ts";
import { decodePax, type PaxRecords } from "./pax.ts";

/** The most bytes of one extended header or long name, and of all global headers together. */
export const maxExtension = 1 << 20;

/** The most records that global headers may hold together: every entry is held against them. */
const maxGlobal = 256;

/** The types of headers whose data is of the prologue. */
export type PrologueType = "x" | "X" | "g" | "L" | "K";

/** Whether a header's type is one of the prologue's. */
export function isPrologue(type: string): type is PrologueType {
  return type.length === 1 && "xXgLK".includes(type);
}

/** What is known of an entry before its header comes. */
export interface Said {
  /** What its own extended header says. */
  readonly local: PaxRecords;
  /** That, and what global headers say beside it. */
  readonly records: PaxRecords;
  readonly longName: ByteString | undefined;
  readonly longLink: ByteString | undefined;
}

const nothing: PaxRecords = new Map();

/** Collects what is said; of the same thing said twice, the last counts. */
export class Prologue {
  readonly #global = new Map<string, Uint8Array<ArrayBuffer>>();
  #local = nothing;
  #longName: ByteString | undefined;
  #longLink: ByteString | undefined;

  /** Whether something was said of the next entry alone. */
  get isPending(): boolean {
    return this.#local.size > 0 || this.#longName !== undefined || this.#longLink !== undefined;
  }

  /** @throws {TarError} when the data is malformed, or too much */
  add(type: PrologueType, data: Uint8Array<ArrayBuffer>): void {
    switch (type) {
      case "L":
        this.#longName = untilNul(data);
        break;
      case "K":
        this.#longLink = untilNul(data);
        break;
      case "g":
        this.#addGlobal(decodePax(data));
        break;
      case "x":
      case "X":
        this.#local = decodePax(data);
    }
  }

  /** All that was said of the entry that comes now; the next one starts with the global headers. */
  take(): Said {
    const local = this.#local;
    const said = {
      local,
      records: this.#global.size === 0 ? local : new Map([...this.#global, ...local]),
      longName: this.#longName,
      longLink: this.#longLink,
    };
    this.#local = nothing;
    this.#longName = this.#longLink = undefined;
    return said;
  }

  #addGlobal(records: PaxRecords): void {
    for (const [keyword, value] of records) this.#global.set(keyword, value);
    const size = this.#global.values().reduce((sum, { length }) => sum + length, 0);
    if (this.#global.size > maxGlobal || size > maxExtension) {
      throw new TarError("global headers hold too much: the limit is 256 records and 1 MiB");
    }
  }
}

function untilNul(bytes: Uint8Array): ByteString {
  const end = bytes.indexOf(0);
  return byteString(end < 0 ? bytes : bytes.subarray(0, end));
}
