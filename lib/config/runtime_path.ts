/**
 * The runtime folder.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import type { Config } from "./config.ts";

/**
 * Make the runtime folder when it is missing, for its user alone.
 *
 * @throws {EnrootError} code `cannot-write` when it cannot be made, `not-owned` when it is another
 * user's, no folder, or open to everybody: who can write there could put anything in the way of a start
 */
export function ensureRuntimePath({ runtimePath }: Config): void {
  try {
    Deno.mkdirSync(runtimePath, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new EnrootError(
      "cannot-write",
      `cannot make the runtime folder ${runtimePath}: ${reasonOf(error)}: ` +
        "set ENROOT_RUNTIME_PATH or XDG_RUNTIME_DIR",
      { cause: error },
    );
  }
  const { uid, mode, isDirectory } = Deno.lstatSync(runtimePath);
  if (isDirectory && uid === Deno.uid() && ((mode ?? 0) & 0o002) === 0) return;
  throw new EnrootError(
    "not-owned",
    `the runtime folder ${runtimePath} is not yours alone: set ENROOT_RUNTIME_PATH or XDG_RUNTIME_DIR`,
  );
}
