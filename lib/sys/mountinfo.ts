/**
 * What is mounted in this mount namespace. Source of the format: proc_pid_mountinfo(5).
 *
 * @module
 */

/** One mount. */
export interface MountEntry {
  readonly mountPoint: string;
  /** Which folder of the file system it shows: `/` unless it is a bind mount of a part. */
  readonly root: string;
  /** `zfs`, `ext4` … */
  readonly type: string;
  /** What is mounted: a dataset for `zfs`. */
  readonly source: string;
}

/** The mounts of this process's namespace, in the order they were made. */
export function mounts(): MountEntry[] {
  return parseMountinfo(Deno.readTextFileSync("/proc/self/mountinfo"));
}

/**
 * The mount that is seen at a path: the last one made there; `undefined` when the path is no mount point.
 *
 * There may be thousands: only lines are parsed that have the path.
 *
 * @param text a mountinfo file; by default this process's
 */
export function mountAt(
  path: string,
  text: string = Deno.readTextFileSync("/proc/self/mountinfo"),
): MountEntry | undefined {
  const field = ` ${escape(path)} `;
  for (let at = text.lastIndexOf(field); at > 0; at = text.lastIndexOf(field, at - 1)) {
    const end = text.indexOf("\n", at);
    const line = text.slice(text.lastIndexOf("\n", at) + 1, end < 0 ? undefined : end);
    const [entry] = parseMountinfo(line);
    if (entry?.mountPoint === path) return entry;
  }
  return undefined;
}

/** The lines of a mountinfo file; ill-formed ones are passed over. */
export function parseMountinfo(text: string): MountEntry[] {
  return text.split("\n").flatMap((line) => {
    // The optional fields, of any number, end with a single dash.
    const [before, after] = line.split(" - ", 2);
    const [, , , root, mountPoint] = before?.split(" ") ?? [];
    const [type, source] = after?.split(" ") ?? [];
    if (
      root === undefined || mountPoint === undefined || type === undefined || source === undefined
    ) return [];
    return [{
      root: unescape(root),
      mountPoint: unescape(mountPoint),
      type,
      source: unescape(source),
    }];
  });
}

/** White space and backslashes stand as three octal digits; bytes above 127 as they are. */
function unescape(text: string): string {
  return text.replaceAll(
    /\\([0-7]{3})/g,
    (_, digits: string) => String.fromCharCode(parseInt(digits, 8)),
  );
}

/** What the kernel writes for them (seq_path_root in fs/proc_namespace.c). */
function escape(text: string): string {
  return text.replaceAll(
    /[ \t\n\\]/g,
    (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`,
  );
}
