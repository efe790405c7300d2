/**
 * Passwords that are asked of bash.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import { CommandError, run } from "../../process/run.ts";

/** How long the commands of one password may take, in seconds. */
const patience = 30;

// The text comes as an argument. It stands in double quotes there, as values of the configuration do, so
// nothing in it but expansions is code, and no result is split or matched against files.
const script = `eval "value=\\"$1\\"" && printf %s "$value"`;

/**
 * The password that a text beginning with `$` stands for: `$VARIABLE`, `${VARIABLE}`, `$(command)`.
 *
 * @param text to stand between double quotes; it is of its owner's file, and code by the contract
 * @param place where it stands, for messages: `FILE:LINE`
 * @throws {EnrootError} code `bad-credentials` when a command fails or nothing comes out of it; nothing
 * that was printed is told, because it may be a secret
 */
export async function expandPassword(
  text: string,
  place: string,
  { environment, signal }: {
    readonly environment: Readonly<Record<string, string>>;
    readonly signal: AbortSignal;
  },
): Promise<string> {
  const limit = AbortSignal.timeout(patience * 1000);
  const refuse = (why: string): EnrootError =>
    new EnrootError("bad-credentials", `${place}: the password cannot be expanded: ${why}`);
  let value: string;
  try {
    // -p: what BASH_ENV prints would end up in the password.
    value = await run(["bash", "-p", "-c", script, "enroot", text], {
      environment,
      signal: AbortSignal.any([signal, limit]),
    });
  } catch (error) {
    signal.throwIfAborted();
    if (limit.aborted) throw refuse(`its command took longer than ${patience} s`);
    if (!(error instanceof CommandError)) throw error;
    throw refuse(`its command ended with exit code ${error.exitCode}: run it by hand to see why`);
  }
  if (value === "") throw refuse("nothing comes out of it: is its variable set and exported?");
  return value;
}
