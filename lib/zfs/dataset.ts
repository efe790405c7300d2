/**
 * Names of datasets and snapshots.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";

declare const kind: unique symbol;

/** The name of a dataset: `POOL/…/NAME`, never with an `@`. */
export type DatasetName = string & { readonly [kind]: "dataset" };

/** The name of a snapshot: `DATASET@NAME`. */
export type SnapshotName = string & { readonly [kind]: "snapshot" };

// ZFS_MAX_DATASET_NAME_LEN is 256 with the NUL; snapshots count too.
const maxLength = 255;
// zfsconcepts(7); a component that is `.` or `..` is refused by ZFS itself from 2.0 on.
const componentPattern = /^(?!\.{1,2}$)[A-Za-z0-9._: -]+$/;

/**
 * The text as the name of a dataset.
 *
 * @throws {EnrootError} code `bad-dataset` when ZFS could not have one of that name
 */
export function parseDatasetName(text: string): DatasetName {
  const components = text.split("/");
  if (components.every((each) => componentPattern.test(each)) && text.length <= maxLength) {
    return text as DatasetName;
  }
  throw new EnrootError("bad-dataset", `'${text}' is no name of a ZFS dataset`);
}

/**
 * The dataset of this name below another.
 *
 * @param component one component, or several joined by `/`
 * @throws {EnrootError} code `bad-dataset` when the whole is no dataset name, for example too long
 */
export function childOf(parent: DatasetName, component: string): DatasetName {
  return parseDatasetName(`${parent}/${component}`);
}

/**
 * A snapshot of a dataset.
 *
 * @throws {EnrootError} code `bad-dataset` when it cannot have that name
 */
export function snapshotOf(dataset: DatasetName, name: string): SnapshotName {
  const text = `${dataset}@${name}`;
  if (componentPattern.test(name) && text.length <= maxLength) return text as SnapshotName;
  throw new EnrootError("bad-dataset", `'${text}' is no name of a ZFS snapshot`);
}

/** The last component of a dataset's name. */
export function lastComponent(dataset: DatasetName): string {
  return dataset.slice(dataset.lastIndexOf("/") + 1);
}

/** The dataset that a snapshot is of. */
export function datasetOf(snapshot: SnapshotName): DatasetName {
  return snapshot.slice(0, snapshot.indexOf("@")) as DatasetName;
}
