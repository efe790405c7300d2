/**
 * What registries refuse, in words.
 *
 * @module
 */

import * as z from "zod/mini";
import { EnrootError } from "../../errors.ts";

/** A registry's refusal. */
export class RegistryError extends EnrootError {
  override readonly name = "RegistryError";
  /** The HTTP status. */
  readonly status: number;
  /** What the registry itself said, one entry an error. */
  readonly diagnostics: readonly string[];

  constructor(what: string, status: number, diagnostics: readonly string[]) {
    const said = diagnostics.length === 0 ? "" : ` (the registry says: ${diagnostics.join("; ")})`;
    super(`registry-${status}`, `${what}: ${explain(status)}${said}`);
    this.status = status;
    this.diagnostics = diagnostics;
  }
}

/** The most bytes of an answer that are looked at for the registry's own words. */
const maxBody = 16_384;

// Source: OCI distribution-spec 1.1, "Error Codes"; token servers write `details` or `error`.
const body = z.object({
  errors: z.optional(z.array(z.object({
    code: z.optional(z.string()),
    message: z.optional(z.string()),
  }))),
  details: z.optional(z.string()),
});

/** The error for an answer that is a refusal; its body is used up. */
export async function refusal(what: string, response: Response): Promise<RegistryError> {
  return new RegistryError(what, response.status, await diagnosticsOf(response));
}

function explain(status: number): string {
  switch (status) {
    case 401:
      return "access is denied: log in, or check the credentials for this registry";
    case 403:
      return "access is forbidden: these credentials may not read it";
    case 404:
      return "there is no such image or tag in the registry";
    case 429:
      return "the registry limits the rate of requests: try again later, or log in";
    default:
      return status >= 500
        ? `the registry failed with status ${status}: try again later`
        : `the registry answered with status ${status}`;
  }
}

async function diagnosticsOf(response: Response): Promise<string[]> {
  try {
    const parsed = z.safeParse(body, JSON.parse(await beginningOf(response)));
    if (!parsed.success) return [];
    const { errors = [], details } = parsed.data;
    return [...errors.map(({ code, message }) => message ?? code ?? ""), details ?? ""]
      .filter((text) => text !== "").slice(0, 3).map((text) => text.slice(0, 200));
  } catch {
    return [];
  }
}

async function beginningOf(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > maxBody) break;
  }
  return text;
}
