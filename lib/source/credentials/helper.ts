/**
 * Docker's credential helpers: programs that keep credentials. Source: docker-credential-helpers.
 *
 * @module
 */

import * as z from "zod/mini";
import { EnrootError } from "../../errors.ts";
import { CommandError, run } from "../../process/run.ts";
import type { Credential } from "./credential.ts";

/** How long a helper may take, in seconds: some ask their user. */
const patience = 60;

const answer = z.object({ Username: z.string(), Secret: z.string() });

/**
 * Ask the helper `docker-credential-NAME` for a server's credentials.
 *
 * @param server what Docker knows the server by
 * @returns `undefined` when it has none
 * @throws {EnrootError} code `credential-helper`, without a word of what the helper printed, when it is
 * missing or fails; the signal's reason
 */
export async function askHelper(
  name: string,
  server: string,
  { environment, signal }: {
    readonly environment: Readonly<Record<string, string>>;
    readonly signal: AbortSignal;
  },
): Promise<Credential | undefined> {
  const program = `docker-credential-${name}`;
  const fail = (why: string, cause?: unknown): EnrootError =>
    new EnrootError("credential-helper", `${program}: ${why}`, { cause });
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
    throw new EnrootError("credential-helper", `'${name}' is no name of a credential helper`);
  }
  const limit = AbortSignal.timeout(patience * 1000);
  let output: string;
  try {
    output = await run([program, "get"], {
      environment,
      input: new TextEncoder().encode(server),
      signal: AbortSignal.any([signal, limit]),
    });
  } catch (error) {
    signal.throwIfAborted();
    if (limit.aborted) throw fail(`no answer in ${patience} s`);
    if (!(error instanceof CommandError)) {
      throw fail("it cannot be run: is it installed, and in PATH?", error);
    }
    // The protocol has no other sign for it than these words.
    if (/credentials not found/i.test(error.stdout)) return undefined;
    throw fail(`it failed with exit code ${error.exitCode}: run it by hand to see why`);
  }
  let parsed;
  try {
    parsed = answer.parse(JSON.parse(output));
  } catch {
    throw fail("its answer is not that of a credential helper");
  }
  const { Username: user, Secret: secret } = parsed;
  if (secret === "") return undefined;
  return user === "<token>"
    ? { kind: "identity-token", token: secret }
    : { kind: "password", user, password: secret };
}
