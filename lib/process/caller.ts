/**
 * What the caller of the program gave it, as the caller had it.
 *
 * The launcher (helper/enroot-launcher.c) starts the runtime with the variables that would steer it
 * renamed, and notes what the runtime changes by itself. This module reads both back. Without the
 * launcher, when the program is run from source, the environment is taken as it is.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";

/** What the runtime has changed or hidden since the program was called. */
export interface CallerState {
  /** The soft limit of open files, which the runtime raises; absent when it is not known. */
  readonly softNofile?: number;
  /** Numbers of the signals that were ignored. */
  readonly ignoredSignals: ReadonlySet<number>;
  /** The name the program was called by, without folders. */
  readonly invokedAs: string;
  /** Where the single executable is; absent when run from source. */
  readonly executable?: string;
}

/** In front of the names of variables that are hidden from the runtime. */
const hiddenPrefix = "ENROOT_CALLER_ENV_";
const stateVariable = "ENROOT_CALLER_STATE";

let environment: Readonly<Record<string, string>> | undefined;
let state: CallerState | undefined;

/** The environment as the caller gave it, whatever the launcher hid from the runtime. Frozen. */
export function callerEnvironment(): Readonly<Record<string, string>> {
  environment ??= restoreEnvironment(Deno.env.toObject());
  return environment;
}

/** The rest of what the caller gave. */
export function callerState(): CallerState {
  state ??= parseCallerState(Deno.env.get(stateVariable));
  return state;
}

/** An environment with what was hidden put back and the launcher's own taken out. */
export function restoreEnvironment(
  variables: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const restored: Record<string, string> = {};
  for (const [name, value] of Object.entries(variables)) {
    if (name === stateVariable) continue;
    restored[name.startsWith(hiddenPrefix) ? name.slice(hiddenPrefix.length) : name] = value;
  }
  return Object.freeze(restored);
}

/**
 * Read the launcher's note: `1;SOFT_NOFILE;IGNORED_SIGNALS;NAME;EXECUTABLE`, the signals as the
 * mask of proc(5)'s `SigIgn` in hex, the executable last because it may hold anything.
 *
 * @param text `undefined` when there was no launcher
 * @throws {EnrootError} code `bad-caller-state` when it is none of ours
 */
export function parseCallerState(text: string | undefined): CallerState {
  if (text === undefined) return { ignoredSignals: new Set(), invokedAs: "enroot" };
  const [, nofile, mask, name, executable] =
    /^1;(\d{1,20});([0-9a-f]{1,16});([^;/]*);(\/.*)?$/s.exec(text) ?? [];
  if (nofile === undefined || mask === undefined) {
    throw new EnrootError("bad-caller-state", `${stateVariable} is not the launcher's: unset it`);
  }
  const bits = BigInt(`0x${mask}`);
  const ignored = Array.from({ length: 64 }, (_, index) => index + 1)
    .filter((signal) => (bits >> BigInt(signal - 1) & 1n) === 1n);
  return {
    softNofile: Number(nofile),
    ignoredSignals: new Set(ignored),
    invokedAs: name || "enroot",
    ...(executable === undefined ? {} : { executable }),
  };
}
