/**
 * Locks on the cache's files: who has one uses the file.
 *
 * They are `flock(2)` locks, which die with their holder. NFS turns them into locks of byte ranges,
 * which all nodes see, where its lock service runs; some file systems know none.
 *
 * @module
 */

/** How an attempt to lock ended: `busy` when somebody else's lock is in the way. */
export type LockOutcome = "held" | "busy" | "unsupported";

/** How long a file on a file system without locks counts as used after it was, in milliseconds. */
const unlockedUse = 24 * 3600_000;

/** Lock an open file until it is closed, without waiting; a lock that it has is changed. */
export function tryLock(file: Deno.FsFile, kind: "shared" | "exclusive"): LockOutcome {
  try {
    return file.tryLockSync(kind === "exclusive") ? "held" : "busy";
  } catch {
    // Lustre without `flock`, NFS without a lock service.
    return "unsupported";
  }
}

/**
 * Whether nobody uses a file; from here on the caller has it alone, where there are locks. Without
 * them a file is free when it was not used for a day.
 *
 * @param file open for writing: NFS wants that of whoever locks alone
 */
export function isFree(file: Deno.FsFile): boolean {
  switch (tryLock(file, "exclusive")) {
    case "held":
      return true;
    case "busy":
      return false;
    case "unsupported":
      return Date.now() - (file.statSync().mtime?.getTime() ?? Date.now()) > unlockedUse;
  }
}
