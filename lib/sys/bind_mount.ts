/**
 * Bind mounts that are held while they are made as they are wanted.
 *
 * @module
 */

import { close } from "./at.ts";
import { bindLibc } from "./bind.ts";
import { checked, cstring } from "./libc.ts";

const libc = bindLibc({
  syscall: { parameters: ["i64", "i64", "buffer", "i64", "buffer", "i64"], result: "i64" },
});

// The same numbers on every architecture, since Linux 5.2.
const SYS_open_tree = 428n;
const SYS_move_mount = 429n;
const AT_FDCWD = -100n;
const AT_RECURSIVE = 0x8000n;
const OPEN_TREE_CLONE = 1n;
const OPEN_TREE_CLOEXEC = 0o2000000n;
const MOVE_MOUNT_F_EMPTY_PATH = 0x4n;
const MOVE_MOUNT_T_SYMLINKS = 0x10n;

/** One bind mount. */
export interface BindMount {
  readonly source: string;
  readonly target: string;
  /** With what is mounted below the source. */
  readonly isRecursive?: boolean;
}

/** What messages call the two. */
export type BindNames = Pick<BindMount, "source" | "target">;

/**
 * Mount what is at a path at another one too.
 *
 * A second call by the same path, to change the mount's flags, could be led elsewhere in between by
 * whoever may rename in the folders on the way; so the mount itself is handed on.
 *
 * @param use is given a path that leads to the new mount, and to nothing else while it runs
 * @throws {SysError} when it fails, and nothing is mounted then; of `open_tree` it is about the source
 */
export function bindMount(
  { source, target, isRecursive = false }: BindMount,
  names: BindNames = { source, target },
  use: (path: string) => void = () => {},
): void {
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (isRecursive ? AT_RECURSIVE : 0n);
  const tree = Number(checked(
    "open_tree",
    names.source,
    () => libc.syscall(SYS_open_tree, AT_FDCWD, cstring(source), flags, null, 0n),
  ));
  try {
    checked("move_mount", names.target, () =>
      libc.syscall(
        SYS_move_mount,
        BigInt(tree),
        cstring(""),
        AT_FDCWD,
        cstring(target),
        MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS,
      ));
    use(`/proc/self/fd/${tree}`);
  } finally {
    close(tree);
  }
}
