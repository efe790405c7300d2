/**
 * The folders that a layer has to do with, as the tree that they are.
 *
 * @module
 */

import { type ByteString, byteString, toCString } from "../tar/byte_string.ts";
import type { KeptMetadata } from "./metadata.ts";

/** What a folder gets at the end of the layer. */
export interface FolderState {
  mode: number;
  seconds: number;
  nanoseconds: number;
  /** Owner and attributes of the entry that described it, when one did: the last counts. */
  kept: KeptMetadata | undefined;
}

/**
 * A folder that this layer makes, names, writes in or passes through. It is known by its place in the
 * tree, never by the path that an entry had for it: a symlink on that path may lead elsewhere later.
 */
export class Folder {
  /** Small and unique in this layer; a key for what is in it. */
  readonly id: number;
  /** Absent for the root folder. */
  readonly parent: Folder | undefined;
  readonly name: ByteString;
  /** Whether nothing in it is of lower layers: this layer made it, or began with an empty root folder. */
  readonly isNew: boolean;
  /** The length of its path, in bytes. */
  readonly pathLength: number;
  readonly state: FolderState;
  #below: Map<ByteString, Folder> | undefined;

  /** It is in its parent from here on. */
  constructor(
    id: number,
    parent: Folder | undefined,
    name: ByteString,
    state: FolderState,
    isNew: boolean,
  ) {
    this.id = id;
    this.isNew = isNew;
    this.parent = parent;
    // As it is, it would keep the whole path that it was cut out of.
    this.name = byteString(toCString(name).subarray(0, -1));
    this.state = state;
    // The slash stands between names only.
    const above = parent?.parent === undefined ? 0 : parent.pathLength + 1;
    this.pathLength = above + name.length;
    if (parent !== undefined) (parent.#below ??= new Map()).set(this.name, this);
  }

  /** Its path inside the root, without symlinks; empty for the root folder. */
  get path(): ByteString {
    if (this.parent === undefined) return this.name;
    const names = [this.name];
    for (let { parent } = this; parent.parent !== undefined; { parent } = parent) {
      names.push(parent.name);
    }
    return names.reverse().join("/") as ByteString;
  }

  /** The folder of a name in it, as far as this layer has to do with it. */
  child(name: ByteString): Folder | undefined {
    return this.#below?.get(name);
  }

  /** Forget the folder of a name, and those below it, because it was removed. */
  drop(name: ByteString): void {
    this.#below?.delete(name);
  }

  /** It and all below it, each before what is below itself. */
  *all(): Generator<Folder> {
    const left: Folder[] = [this];
    for (let folder = left.pop(); folder !== undefined; folder = left.pop()) {
      yield folder;
      for (const below of folder.#below?.values() ?? []) left.push(below);
    }
  }
}
