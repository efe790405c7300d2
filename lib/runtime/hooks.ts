/**
 * Hooks: programs of the host that prepare a start, inside the namespaces and before the root is changed.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { SysError } from "../sys/libc.ts";
import { signalNames } from "../sys/signal_names.ts";
import { type End, runToEnd } from "../sys/spawn.ts";
import { addEnvironmentFile, environmentFileOf } from "./environ.ts";
import { type MountEntry, parseFstab } from "./fstab.ts";
import { conditionOf } from "./hook_condition.ts";
import type { Hook, Plan } from "./plan.ts";

/** Variables by name. */
export type Variables = Readonly<Record<string, string>>;

/**
 * What hooks work with: a folder of their own, and two files that they may change. All of it is on the
 * tmpfs that the start has on the runtime path, and is gone with its namespace.
 */
export class HookPlace {
  /** The variables of hooks: the host's, the configuration's, and those about this start. */
  readonly variables: Variables;
  readonly #environmentFile: string;
  readonly #mountsFile: string;
  #rest: ReadonlyMap<string, string> = new Map();

  /**
   * Make it.
   *
   * @param plan its runtime path is the start's own already
   * @param variables the host's, the configuration's, `ENROOT_PID` and `ENROOT_ROOTFS`
   */
  constructor({ runtimePath, hookPrograms }: Plan, variables: Variables) {
    const work = `${runtimePath}/workdir`;
    const programs = `${runtimePath}/bin`;
    this.#environmentFile = `${runtimePath}/environment`;
    this.#mountsFile = `${runtimePath}/fstab`;
    for (const folder of [work, programs]) Deno.mkdirSync(folder, { mode: 0o700 });
    for (const [name, path] of Object.entries(hookPrograms)) {
      Deno.symlinkSync(path, `${programs}/${name}`);
    }
    this.variables = {
      ...variables,
      ENROOT_ENVIRON: this.#environmentFile,
      ENROOT_MOUNTS: this.#mountsFile,
      ENROOT_WORKDIR: work,
      PATH: `${programs}:${variables["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"}:/usr/sbin:/sbin`,
    };
    Deno.writeTextFileSync(this.#mountsFile, "", { mode: 0o600 });
  }

  /** `ENROOT_WORKDIR`. */
  get folder(): string {
    return this.variables["ENROOT_WORKDIR"] ?? "";
  }

  /** Write the environment so far to `ENROOT_ENVIRON`: before anything is run. */
  offer(environment: ReadonlyMap<string, string>): void {
    const { text, rest } = environmentFileOf(environment);
    this.#rest = rest;
    Deno.writeTextFileSync(this.#environmentFile, text, { mode: 0o600 });
  }

  /**
   * Run a hook to its end, unless it says itself that it has nothing to do.
   *
   * @throws {EnrootError} code `hook-failed`, naming it and how it ended
   */
  run({ path, argv }: Hook): void {
    const needed = conditionOf(path);
    if (needed !== undefined && !needed.some((name) => this.#isSet(name))) return;
    runOrThrow(() => `the hook ${path}`, argv, this.variables);
  }

  #isSet(name: string): boolean {
    if (Object.hasOwn(this.variables, name) && this.variables[name] !== "") return true;
    // Hooks before this one may have added to it.
    return (this.environment().get(name) ?? "") !== "";
  }

  /** The environment as hooks left it. @throws {EnrootError} code `hook-failed` when the file is gone */
  environment(): Map<string, string> {
    const environment = new Map(this.#rest);
    addEnvironmentFile(environment, readLeft(this.#environmentFile), this.variables);
    return environment;
  }

  /**
   * The mounts that hooks ask for.
   *
   * @throws {EnrootError} code `bad-fstab`, or `hook-failed` when the file is gone
   */
  mounts(): MountEntry[] {
    return parseFstab(readLeft(this.#mountsFile), this.variables, "ENROOT_MOUNTS of the hooks");
  }
}

/**
 * Run a program to its end.
 *
 * @param what says what it is, for a message
 * @throws {EnrootError} code `hook-failed` when it fails or cannot be started
 */
export function runOrThrow(
  what: () => string,
  argv: readonly [program: string, ...args: string[]],
  variables: Variables,
): void {
  let end: End;
  try {
    end = runToEnd(argv[0], argv, variables);
  } catch (error) {
    const advice = error instanceof SysError && error.code === "EACCES"
      ? "nothing can be executed there, maybe it is mounted noexec"
      : "a script needs a first line that names its interpreter, which must be there";
    throw new EnrootError(
      "hook-failed",
      `cannot start: ${what()} cannot be run: ${reasonOf(error)}: ${advice}`,
      { cause: error },
    );
  }
  if (end.exitCode === 0) return;
  throw new EnrootError("hook-failed", `cannot start: ${what()} ${describe(end)}`);
}

function describe({ exitCode, signal }: End): string {
  if (signal === undefined) return `failed with exit code ${exitCode}`;
  return `was ended by ${signalNames[signal] ?? `signal ${signal}`}`;
}

function readLeft(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw new EnrootError(
      "hook-failed",
      `cannot start: what the hooks left cannot be read: ${
        reasonOf(error)
      }: a hook has removed or ` +
        "replaced it",
      { cause: error },
    );
  }
}
