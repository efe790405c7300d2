/**
 * Which dataset is the store.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../errors.ts";
import { mountAt } from "../../sys/mountinfo.ts";
import { type DatasetName, parseDatasetName } from "../../zfs/dataset.ts";

/** The store of one user. */
export interface StoreLocation {
  readonly dataset: DatasetName;
  /** Where it is mounted: absolute, without symlinks. */
  readonly path: string;
  /** The user that owns it. */
  readonly owner: number;
}

/**
 * Find the dataset that is mounted at the data path.
 *
 * No process is started: the kernel's table of mounts tells.
 *
 * @param dataPath `ENROOT_DATA_PATH`
 * @param uid who wants to use it
 * @throws {EnrootError} code `no-store` when no dataset is mounted there, `not-owner` when it is
 * somebody else's and the caller is not root
 */
export function locateStore(dataPath: string, uid: number): StoreLocation {
  const path = realPath(dataPath);
  const mount = path === undefined ? undefined : mountAt(path);
  if (path === undefined || mount === undefined || mount.type !== "zfs" || mount.root !== "/") {
    throw new EnrootError(
      "no-store",
      `no ZFS dataset is mounted at ENROOT_DATA_PATH=${dataPath}: make one, as root: ` +
        `zfs create -p -o mountpoint=${dataPath} POOL/enroot/${uid} && chown ${uid}: ${dataPath}`,
    );
  }
  const owner = Deno.statSync(path).uid ?? 0;
  if (uid !== 0 && owner !== uid) {
    throw new EnrootError(
      "not-owner",
      `the store at ${path} (${mount.source}) belongs to uid ${owner}, not to uid ${uid}: set ` +
        "ENROOT_DATA_PATH to a store of your own (one dataset for each user)",
    );
  }
  return { dataset: parseDatasetName(mount.source), path, owner };
}

function realPath(path: string): string | undefined {
  try {
    return Deno.realPathSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new EnrootError(
      "no-store",
      `cannot look at ENROOT_DATA_PATH=${path}: ${reasonOf(error)}`,
      {
        cause: error,
      },
    );
  }
}
