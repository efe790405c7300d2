/**
 * What registries refuse, in words.
 *
 * @module
 */

import * as z from "zod/mini";
import { EnrootError } from "../../errors.ts";
import { readBody } from "./body.ts";

/** A registry's refusal. */
export class RegistryError extends EnrootError {
  override readonly name = "RegistryError";
  /** The HTTP status. */
  readonly status: number;
  /** What the registry itself said, one entry and one line an error. */
  readonly diagnostics: readonly string[];
  /** How long it asks to be left alone, in milliseconds; absent when it does not say. */
  readonly retryAfter: number | undefined;

  constructor(
    what: string,
    status: number,
    diagnostics: readonly string[],
    retryAfter?: number,
    access?: string,
  ) {
    const said = diagnostics.length === 0 ? "" : ` (the registry says: ${diagnostics.join("; ")})`;
    const how = access === undefined || ![401, 403, 404, 429].includes(status) ? "" : `; ${access}`;
    super(`registry-${status}`, `${what}: ${explain(status, retryAfter)}${how}${said}`);
    this.status = status;
    this.diagnostics = diagnostics;
    this.retryAfter = retryAfter;
  }
}

/** The most bytes of an answer that are looked at for the registry's own words. */
const maxBody = 16_384;

/** How long these words are waited for, in seconds: the status alone says enough. */
const patience = 2;

// Source: OCI distribution-spec 1.1, "Error Codes"; token servers write `details` or `error`.
const body = z.object({
  errors: z.optional(z.array(z.object({
    code: z.optional(z.string()),
    message: z.optional(z.string()),
  }))),
  details: z.optional(z.string()),
});

/**
 * The error for an answer that is a refusal; its body is used up.
 *
 * @param access how it was asked, where it matters: with whose credentials, or where none were found
 */
export async function refusal(
  what: string,
  response: Response,
  signal: AbortSignal,
  access?: string,
): Promise<RegistryError> {
  const diagnostics = await diagnosticsOf(response, signal);
  return new RegistryError(what, response.status, diagnostics, retryAfter(response), access);
}

function explain(status: number, retryAfter: number | undefined): string {
  const when = retryAfter === undefined ? "later" : `in ${Math.ceil(retryAfter / 1000)} s`;
  switch (status) {
    case 401:
      return "access is denied: log in, or check the credentials for it";
    case 403:
      return "access is forbidden: the registry does not let it be read";
    case 404:
      return "there is no such image or tag in the registry, or it is hidden from who asks";
    case 429:
      return `the registry limits the rate of requests: try again ${when}, or log in`;
    default:
      return status >= 500
        ? `the registry failed with status ${status}: try again ${when}`
        : `the registry answered with status ${status}`;
  }
}

async function diagnosticsOf(response: Response, signal: AbortSignal): Promise<string[]> {
  try {
    const parsed = z.safeParse(body, JSON.parse(await beginningOf(response, signal)));
    if (!parsed.success) return [];
    const { errors = [], details } = parsed.data;
    return [...errors.map(({ code, message }) => message ?? code ?? ""), details ?? ""]
      .map((text) => text.replaceAll(/[\s\p{Cc}]+/gu, " ").trim().slice(0, 200))
      .filter((text) => text !== "").slice(0, 3);
  } catch {
    signal.throwIfAborted();
    return [];
  }
}

async function beginningOf(response: Response, signal: AbortSignal): Promise<string> {
  const decoder = new TextDecoder();
  const limits = { signal, stallSeconds: patience, totalSeconds: patience };
  let text = "";
  for await (const chunk of readBody(response, "a refusal", limits)) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > maxBody) break;
  }
  return text;
}

function retryAfter(response: Response): number | undefined {
  const text = response.headers.get("retry-after");
  if (text === null) return undefined;
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined;
}
