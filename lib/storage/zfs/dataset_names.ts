/**
 * How the names of containers become names of datasets.
 *
 * A dataset's name knows only `[A-Za-z0-9._:-]` and the space. Every byte of a container's name
 * outside `[A-Za-z0-9._-]` becomes `:` and two lower-case hex digits; mount points keep the plain
 * name. `helper/enroot-zfs-mount.c` decodes the same way.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import { childOf, type DatasetName } from "../../zfs/dataset.ts";
import { type ContainerName, parseContainerName } from "../container_name.ts";

/** What is not a container has a name that a container cannot have. */
export const folders = {
  templates: ".templates",
  layers: ".layers",
  ephemeral: ".ephemeral",
  receiving: ".receiving",
  locks: ".locks",
  handed: ".handed",
} as const;

/** Names that are the same in both: nearly all of those that are ever given. */
const plain = /^[A-Za-z0-9._-]+$/;

/** A container's name as the last component of a dataset's. */
export function encodeName(name: ContainerName): string {
  if (plain.test(name)) return name;
  return [...new TextEncoder().encode(name)].map((byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9._-]/.test(character) ? character : `:${byte.toString(16).padStart(2, "0")}`;
  }).join("");
}

/** The container whose dataset has this last component; `undefined` when that is none's. */
export function decodeName(component: string): ContainerName | undefined {
  if (plain.test(component)) return asName(component);
  if (!/^(?:[A-Za-z0-9._-]|:[0-9a-f]{2})+$/.test(component)) return undefined;
  const bytes = [...component.matchAll(/:(..)|(.)/g)].map(([, hex, character]) =>
    hex === undefined ? character?.charCodeAt(0) ?? 0 : parseInt(hex, 16)
  );
  try {
    const name = asName(new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(bytes)));
    return name !== undefined && encodeName(name) === component ? name : undefined;
  } catch {
    return undefined;
  }
}

function asName(text: string): ContainerName | undefined {
  try {
    return parseContainerName(text);
  } catch {
    return undefined;
  }
}

/**
 * The dataset of a container.
 *
 * @throws {EnrootError} code `bad-name` when ZFS has no room for the name
 */
export function containerDataset(store: DatasetName, name: ContainerName): DatasetName {
  try {
    return childOf(store, encodeName(name));
  } catch (error) {
    throw new EnrootError(
      "bad-name",
      `container name '${name}' is too long for a dataset below ${store}: ZFS allows 255 ` +
        "characters in all, and takes three for each byte that is no letter, digit, '.', '_' or '-'",
      { cause: error },
    );
  }
}
