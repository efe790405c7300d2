/**
 * Which dataset is the store.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../errors.ts";
import { mountAt, mounts } from "../../sys/mountinfo.ts";
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
 * What keeps a store's files from being more than files, however they came there: in what `zfs mount` mounts, and
 * in snapshots, which the kernel mounts by rules of its own (helper/snapshots.h).
 */
const safeProperties = "-o setuid=off -o devices=off -o snapdir=disabled";

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
        `zfs create -p -o mountpoint=${dataPath} ${safeProperties} POOL/enroot/${uid} && ` +
        `chown ${uid}: ${dataPath}`,
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

/**
 * Where root has mounted the store of templates that all users share.
 *
 * @param dataset `ENROOT_TEMPLATE_STORE`
 * @throws {EnrootError} code `no-store` when it is not mounted, `bad-dataset`
 */
export function pathOfDataset(dataset: string): string {
  const name = parseDatasetName(dataset);
  const mount = mounts().findLast(({ type, source, root }) =>
    type === "zfs" && source === name && root === "/"
  );
  if (mount !== undefined) {
    const { uid } = Deno.statSync(mount.mountPoint);
    if (uid === 0) return mount.mountPoint;
    throw new EnrootError(
      "not-owner",
      `ENROOT_TEMPLATE_STORE=${dataset} belongs to uid ${uid}: what all users share must be root's alone`,
    );
  }
  throw new EnrootError(
    "no-store",
    `ENROOT_TEMPLATE_STORE=${dataset} is not mounted: make it, or mount it, as root: zfs create -p ` +
      `-o mountpoint=/var/lib/enroot-templates -o xattr=sa ${safeProperties} ${dataset}`,
  );
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
