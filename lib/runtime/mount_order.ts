/**
 * Which mounts a start makes, and in which order.
 *
 * @module
 */

import { type MountEntry, parseFstab, parseMountOption } from "./fstab.ts";
import { ownEntries } from "./own_fstab.ts";
import { processTable, withOwnProcesses } from "./own_processes.ts";
import type { Plan } from "./plan.ts";

/** A mount, and whether it is the container's own file that asks for it. */
export type StartMount = MountEntry & { readonly isOwn: boolean };

/** What is known when the hooks have run. */
export interface LaterMounts {
  readonly hookMounts: readonly MountEntry[];
  readonly scriptMounts: readonly MountEntry[];
}

/**
 * The mounts of a start. Those of a pass below 0 come before the hooks, all others after them. On each side
 * the pass is the order; within a pass come those that hooks asked for, the files of `mounts.d` and the
 * container's own, the configuration script's, and `--mount`, as they stand.
 */
export class MountOrder {
  readonly #files: readonly StartMount[];
  readonly #options: readonly StartMount[];

  /**
   * @param ownText the container's `/etc/fstab`
   * @param warn told of each line of it that is passed over
   * @throws {EnrootError} code `bad-fstab`
   */
  constructor(
    plan: Plan,
    ownText: string,
    variables: Readonly<Record<string, string>>,
    warn: (message: string) => void,
  ) {
    const own = parseFstab(ownText, variables, "/etc/fstab of the container");
    const files = [
      ...plan.mountFiles.flatMap(({ path, text }) => of(false, parseFstab(text, variables, path))),
      ...of(true, ownEntries(own, plan.rootfs, warn)),
    ];
    this.#files = plan.ownProcesses
      ? withOwnProcesses(files, { ...processTable, isOwn: false })
      : files;
    const options = plan.mountOptions.map((option) => parseMountOption(option, variables));
    this.#options = of(false, options);
  }

  /** Before the hooks. */
  before(): StartMount[] {
    return inOrder([...this.#files, ...this.#options].filter(isEarly));
  }

  /** After them. */
  after({ hookMounts, scriptMounts }: LaterMounts): StartMount[] {
    return inOrder([
      ...of(false, hookMounts),
      ...this.#files.filter((entry) => !isEarly(entry)),
      ...of(false, scriptMounts),
      ...this.#options.filter((entry) => !isEarly(entry)),
    ]);
  }
}

function of(isOwn: boolean, entries: readonly MountEntry[]): StartMount[] {
  return entries.map((entry) => ({ ...entry, isOwn }));
}

function isEarly({ pass }: MountEntry): boolean {
  return pass < 0;
}

/** By pass; what has the same stays as it stands. */
export function inOrder<E extends MountEntry>(entries: readonly E[]): E[] {
  return entries.toSorted((a, b) => a.pass - b.pass);
}
