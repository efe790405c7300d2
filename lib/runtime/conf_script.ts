/**
 * Configuration scripts (`--conf`): bash on the host, with functions that a start asks.
 *
 * The text is given to bash as a file, and nothing of it becomes part of another script.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import { findProgram } from "../process/run.ts";
import { runToEnd } from "../sys/spawn.ts";
import { type HookPlace, runOrThrow, type Variables } from "./hooks.ts";
import type { TextFile } from "./plan.ts";

/** What a script says of a start. */
export interface ScriptAnswers {
  /** What `environ` printed: lines of an environment file. */
  readonly environment: string;
  /** What `mounts` printed: lines of fstab. */
  readonly mounts: string;
  /** What takes the place of `/etc/rc`, when it has a function `rc`. */
  readonly rc?: string;
  /** Whether it has a function `hooks`. */
  readonly hasHooks: boolean;
}

// An exported function of the caller's is none of the script's.
const begin = `set -euo pipefail
unset -f environ mounts hooks rc
source "\${ENROOT_WORKDIR}/conf" "$@"
`;

const ask = `${begin}
for ENROOT_FUNCTION in environ mounts; do
    if declare -F "\${ENROOT_FUNCTION}" > /dev/null; then
        "\${ENROOT_FUNCTION}" "$@" > "\${ENROOT_WORKDIR}/conf.\${ENROOT_FUNCTION}"
    fi
done
if declare -F rc > /dev/null; then declare -f rc > "\${ENROOT_WORKDIR}/conf.rc"; fi
if declare -F hooks > /dev/null; then declare -F hooks > "\${ENROOT_WORKDIR}/conf.hooks"; fi
`;

// What bash itself says of it names the copy.
const check = `"\${BASH}" -n "\${ENROOT_WORKDIR}/conf" 2> "\${ENROOT_WORKDIR}/conf.problems"`;

const runHooks = `${begin}
hooks "$@"
`;

/** A configuration script, in the namespaces of its start. */
export class ConfScript {
  readonly #place: HookPlace;
  readonly #path: string;
  readonly #words: readonly string[];

  /**
   * @param words the command of the start: the script and its functions get it as arguments
   */
  constructor(place: HookPlace, { path, text }: TextFile, words: readonly string[]) {
    this.#place = place;
    this.#path = path;
    this.#words = words;
    Deno.writeTextFileSync(`${place.folder}/conf`, text, { mode: 0o600 });
  }

  /**
   * Run it, and its `environ` and `mounts`.
   *
   * @param host the caller's environment: these functions pass on what they see of it
   * @throws {EnrootError} code `hook-failed`, naming the script, and the function or the line that bash
   * cannot read
   */
  ask(host: Variables): ScriptAnswers {
    const { PATH: _, ...variables } = this.#place.variables;
    const path = host["PATH"];
    const own = path === undefined ? variables : { ...variables, PATH: path };
    const failed = (): string => {
      const name = ["mounts", "environ"].find((each) => this.#read(each) !== undefined);
      return name === undefined ? "" : `${name} of `;
    };
    try {
      this.#bash(failed, ask, own);
    } catch (error) {
      throw this.#unreadable(own) ?? error;
    }
    const rc = this.#read("rc");
    return {
      environment: this.#read("environ") ?? "",
      mounts: this.#read("mounts") ?? "",
      // The shell of the container reads it: a function of the same name with the same arguments.
      ...(rc === undefined ? {} : { rc: `${rc}\nrc "$@"\n` }),
      hasHooks: this.#read("hooks") !== undefined,
    };
  }

  /**
   * Run its `hooks`: the script is read a second time.
   *
   * @throws {EnrootError} code `hook-failed`
   */
  runHooks(): void {
    this.#bash(() => "hooks of ", runHooks, this.#place.variables);
  }

  /** What is wrong with the text, when it is no shell text. */
  #unreadable(variables: Variables): EnrootError | undefined {
    const bash = findProgram("bash", variables);
    if (runToEnd(bash, [bash, "-c", check], variables).exitCode === 0) return undefined;
    const [problem = ""] = (this.#read("problems") ?? "").split("\n");
    const copy = `${this.#place.folder}/conf: `;
    if (!problem.startsWith(copy)) return undefined;
    return new EnrootError(
      "hook-failed",
      `cannot start: the configuration script ${this.#path} is no shell text: ${
        problem.slice(copy.length)
      }`,
    );
  }

  #bash(part: () => string, text: string, variables: Variables): void {
    const bash = findProgram("bash", variables);
    const argv = [bash, "-c", text, this.#path, ...this.#words] as const;
    runOrThrow(() => `${part()}the configuration script ${this.#path}`, argv, variables);
  }

  #read(name: string): string | undefined {
    try {
      return Deno.readTextFileSync(`${this.#place.folder}/conf.${name}`);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }
}
