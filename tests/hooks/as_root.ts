/**
 * Running a program in a bed's place and environment, as root: what sets a machine up before it becomes
 * the bed's user.
 *
 * @module
 */

import type { Bed } from "../support/bed.ts";
import { run } from "../support/command.ts";

/** Run a program, which must succeed, for what it prints. @throws {Error} with stderr otherwise */
export function runAsRoot(
  bed: Bed,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  return run(argv, { cwd: bed.work, clearEnv: true, env: { ...bed.env, ...env } });
}
