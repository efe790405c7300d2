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
  /**
   * Programs that the launcher keeps in memory because nothing can be executed in the folder that it
   * unpacked to: open descriptors by the program's path in that folder. Empty almost everywhere.
   */
  readonly programs: ReadonlyMap<string, number>;
}

/** In front of the names of variables that are hidden from the runtime. */
const hiddenPrefix = "ENROOT_CALLER_ENV_";
const stateVariable = "ENROOT_CALLER_STATE";
const programsVariable = "ENROOT_CALLER_PROGRAMS";

/** What the launcher sets for the runtime alone. */
const runtimeVariables = [
  ...["DENO_DIR", "DENO_DISABLE_NODE_SHIM", "DENO_NO_UPDATE_CHECK", "DENO_TLS_CA_STORE", "HOME"],
];

let environment: Readonly<Record<string, string>> | undefined;
let state: CallerState | undefined;

/** The environment as the caller gave it, whatever the launcher hid from the runtime. Frozen. */
export function callerEnvironment(): Readonly<Record<string, string>> {
  environment ??= restoreEnvironment(Deno.env.toObject());
  return environment;
}

/** The rest of what the caller gave. */
export function callerState(): CallerState {
  state ??= parseCallerState(Deno.env.get(stateVariable), Deno.env.get(programsVariable));
  return state;
}

/**
 * An environment with what was hidden put back, and what the launcher added taken out.
 *
 * @param variables those of this process; without a launcher they are returned as they are
 */
export function restoreEnvironment(
  variables: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  if (variables[stateVariable] === undefined) return Object.freeze({ ...variables });
  // A job's variables can have any name: `__proto__` must be one like any other.
  const restored = new Map<string, string>();
  for (const [name, value] of Object.entries(variables)) {
    if (name.startsWith(hiddenPrefix)) restored.set(name.slice(hiddenPrefix.length), value);
    else if (
      name !== stateVariable && name !== programsVariable && !runtimeVariables.includes(name)
    ) {
      restored.set(name, value);
    }
  }
  return Object.freeze(Object.fromEntries(restored));
}

/**
 * Read the launcher's notes: `1;SOFT_NOFILE;IGNORED_SIGNALS;NAME;EXECUTABLE`, the signals as the
 * mask of proc(5)'s `SigIgn` in hex, the executable last because it may hold anything; and
 * `DESCRIPTOR:PATH;` for each program in memory.
 *
 * @param text `undefined` when there was no launcher
 * @throws {EnrootError} code `bad-caller-state` when it is none of ours
 */
export function parseCallerState(text: string | undefined, programs = ""): CallerState {
  if (text === undefined) {
    return { ignoredSignals: new Set(), invokedAs: "enroot", programs: new Map() };
  }
  const [, nofile, mask, name, executable] =
    /^1;(\d{1,20});([0-9a-f]{1,16});([^;/]*);(\/.*)$/s.exec(text) ?? [];
  if (
    nofile === undefined || mask === undefined || executable === undefined ||
    !/^(\d{1,9}:[^;:]+;)*$/.test(programs)
  ) {
    throw new EnrootError(
      "bad-caller-state",
      `${stateVariable} and ${programsVariable} are not the launcher's: unset them`,
    );
  }
  const bits = BigInt(`0x${mask}`);
  const ignored = Array.from({ length: 64 }, (_, index) => index + 1)
    .filter((signal) => (bits >> BigInt(signal - 1) & 1n) === 1n);
  const softNofile = Number(nofile);
  return {
    // Without a limit there is nothing to put back.
    ...(Number.isSafeInteger(softNofile) ? { softNofile } : {}),
    ignoredSignals: new Set(ignored),
    invokedAs: name || "enroot",
    executable,
    programs: new Map(
      [...programs.matchAll(/(\d+):([^;]+);/g)].map(([, fd = "", path = ""]) => [path, Number(fd)]),
    ),
  };
}
