/**
 * What is asked on the host before a container has its environment and its mounts: the configuration
 * script and the hooks.
 *
 * @module
 */

import { noticeChildren } from "../sys/exec.ts";
import { ConfScript } from "./conf_script.ts";
import { addEnvironmentFile, addEnvironmentOption } from "./environ.ts";
import { type MountEntry, parseFstab } from "./fstab.ts";
import { HookPlace, type Variables } from "./hooks.ts";
import type { Plan } from "./plan.ts";

/** What came of it. */
export interface Prepared {
  /** The container's environment but for what a login sets. */
  readonly environment: Map<string, string>;
  readonly hookMounts: readonly MountEntry[];
  readonly scriptMounts: readonly MountEntry[];
  /** What takes the place of `/etc/rc`. */
  readonly rc?: string;
}

/**
 * Run the script and the hooks, and put the environment together: that of the image, the files of
 * `environ.d`, the script's `environ`, `--env`, and what hooks made of it, later ones over earlier ones.
 *
 * The runtime path is the start's own already, and the mounts that come before hooks are made.
 *
 * @param ofImage the container's `/etc/environment`
 * @param variables what `${…}` stands for; hooks get them
 * @param host the caller's environment
 * @throws {EnrootError} code `hook-failed` or `bad-fstab`
 */
export function prepare(
  plan: Plan,
  ofImage: string,
  variables: Variables,
  host: Variables,
): Prepared {
  const environment = new Map<string, string>();
  const addOptions = (): void => {
    for (const option of plan.environmentOptions) addEnvironmentOption(environment, option, host);
  };
  addEnvironmentFile(environment, ofImage, variables);
  for (const { text } of plan.environmentFiles) addEnvironmentFile(environment, text, variables);
  if (plan.hooks.length === 0 && plan.script === undefined) {
    addOptions();
    return { environment, hookMounts: [], scriptMounts: [], ...rcOf(plan.rc) };
  }

  noticeChildren();
  const place = new HookPlace(plan, variables);
  place.offer(environment);
  const script = plan.script === undefined
    ? undefined
    : new ConfScript(place, plan.script, plan.command);
  const answers = script?.ask(host);
  addEnvironmentFile(environment, answers?.environment ?? "", variables);
  addOptions();
  place.offer(environment);
  for (const hook of plan.hooks) place.run(hook);
  if (answers?.hasHooks === true) script?.runHooks();
  const said = `mounts of ${plan.script?.path}`;
  return {
    environment: place.environment(),
    hookMounts: place.mounts(),
    scriptMounts: parseFstab(answers?.mounts ?? "", variables, said),
    ...rcOf(plan.rc ?? answers?.rc),
  };
}

function rcOf(rc: string | undefined): { rc?: string } {
  return rc === undefined ? {} : { rc };
}
