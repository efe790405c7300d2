/**
 * The plan of a start: what the first stage, outside, tells the second, inside the namespaces.
 *
 * It goes through a file in memory, because arguments are public and it may hold secrets.
 *
 * @module
 */

/** A configuration file's text with its path, for messages. */
export interface TextFile {
  readonly path: string;
  readonly text: string;
}

/** Everything the second stage does, decided by the first. */
export interface Plan {
  /** The container's root folder, absolute. */
  readonly rootfs: string;
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
  /** What takes the place of `/etc/rc`; absent: the container's own. */
  readonly rc?: string;
  readonly writable: boolean;
  /** The user is root inside, and keeps the capabilities of the namespace. */
  readonly remapRoot: boolean;
  readonly loginShell: boolean;
  readonly command: readonly string[];
  readonly softNofile?: number;
  readonly ignoredSignals: readonly number[];
}
