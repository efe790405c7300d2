/**
 * The plan of a start: what the first stage, outside, tells the second, inside the namespaces.
 *
 * It goes through a file in memory, because arguments are public and it may hold secrets.
 *
 * @module
 */

import type { HostUser } from "./host_user.ts";

/** A configuration file's text with its path, for messages. */
export interface TextFile {
  readonly path: string;
  readonly text: string;
}

/** A program that prepares a start. */
export interface Hook {
  /** The file, for messages. */
  readonly path: string;
  /** The program, absolute, and its arguments. */
  readonly argv: readonly [program: string, ...args: string[]];
}

/** Everything the second stage does, decided by the first. */
export interface Plan {
  /** The container's root folder, absolute. */
  readonly rootfs: string;
  /** How the root folder is made of an image's file system; absent: it is there. */
  readonly image?: "mount" | "overlay";
  /** `ENROOT_RUNTIME_PATH`; it exists. */
  readonly runtimePath: string;
  /** The files of `mounts.d`, in order. */
  readonly mountFiles: readonly TextFile[];
  /** The `--mount` options. */
  readonly mountOptions: readonly string[];
  /** The files of `environ.d`, in order. */
  readonly environmentFiles: readonly TextFile[];
  /** The `--env` options. */
  readonly environmentOptions: readonly string[];
  /** The configuration's variables for hooks and files, such as `ENROOT_DATA_PATH`. */
  readonly settings: Readonly<Record<string, string>>;
  /** The hooks, in order. */
  readonly hooks: readonly Hook[];
  /** The `--conf` script, read by the first stage: it may be a pipe. */
  readonly script?: TextFile;
  /** What hooks find in their PATH: programs by their names there. */
  readonly hookPrograms: Readonly<Record<string, string>>;
  /** What takes the place of `/etc/rc`; absent: the container's own, or that of the script. */
  readonly rc?: string;
  /** Whom the container is to know; absent: the host does not know him either. */
  readonly user?: HostUser;
  readonly writable: boolean;
  /** The user is root inside, and keeps the capabilities of the namespace. */
  readonly remapRoot: boolean;
  readonly loginShell: boolean;
  /** The command has a process namespace of its own, and sees no other in `/proc`. */
  readonly ownProcesses: boolean;
  readonly command: readonly string[];
  readonly softNofile?: number;
  readonly ignoredSignals: readonly number[];
}
