/**
 * The bytes of a blob from a registry, from where they are wanted. Source: RFC 9110, section 14.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import type { BlobBody } from "../cache/receive.ts";
import { type BodyLimits, readBody } from "./body.ts";
import { RegistryError } from "./error.ts";

/** A blob that is asked for. */
export interface BlobQuestion {
  /** How many bytes it has, as the manifest states. */
  readonly size: number;
  /** What it is called in messages. */
  readonly what: string;
  /** The first byte that is wanted. */
  readonly offset: number;
  readonly limits: BodyLimits;
}

/**
 * Ask for a blob's bytes from an offset on.
 *
 * They come from the beginning when the registry sends all of them, or another part than the one
 * that was asked for, or knows no such part.
 *
 * @param get asks the registry, with more headers; answers with a status of 200 to 299
 * @throws {RegistryError} on a refusal; {@linkcode EnrootError} code `bad-length`, before a byte is read,
 * when the answer states another length than the manifest; what `get` throws
 */
export async function openBlobBody(
  get: (headers: Readonly<Record<string, string>>) => Promise<Response>,
  { size, what, offset, limits }: BlobQuestion,
): Promise<BlobBody> {
  let response = await askFrom(get, offset);
  let begin = offset;
  if (response?.status !== 206) begin = 0;
  else if (response.headers.get("content-range") !== `bytes ${offset}-${size - 1}/${size}`) {
    await response.body?.cancel();
    response = undefined;
    begin = 0;
  }
  response ??= await get({});
  if (response.status === 206 && begin === 0) {
    await response.body?.cancel();
    throw new EnrootError("bad-answer", `${what}: a part of it came, which nobody asked for`);
  }
  const stated = statedLength(response);
  if (stated !== undefined && stated !== size - begin) {
    await response.body?.cancel();
    throw new EnrootError(
      "bad-length",
      `${what}: the registry sends ${begin + stated} bytes, its manifest states ${size}`,
    );
  }
  return { offset: begin, bytes: readBody(response, what, limits) };
}

/** The answer for the bytes from an offset on; `undefined` when there are none, as it says. */
async function askFrom(
  get: (headers: Readonly<Record<string, string>>) => Promise<Response>,
  offset: number,
): Promise<Response | undefined> {
  if (offset === 0) return await get({});
  try {
    return await get({ range: `bytes=${offset}-` });
  } catch (error) {
    if (error instanceof RegistryError && error.status === 416) return undefined;
    throw error;
  }
}

/** How many bytes of the blob are said to come; `undefined` when the answer does not say. */
function statedLength({ headers }: Response): number | undefined {
  const text = headers.get("content-length");
  // The length of what is compressed for the way says nothing.
  if (text === null || headers.has("content-encoding") || !/^\d+$/.test(text)) return undefined;
  return Number(text);
}
