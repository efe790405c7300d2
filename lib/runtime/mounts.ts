/**
 * Mounting what fstab lines say into a container.
 *
 * @module
 */

import { reasonOf } from "../errors.ts";
import { AT, close, E, must, O, openAt } from "../sys/at.ts";
import { bindMount } from "../sys/bind_mount.ts";
import { cstring, SysError } from "../sys/libc.ts";
import { MNT_DETACH, mount, mountFlagsOf, MS, unmount } from "../sys/mount.ts";
import type { MountEntry } from "./fstab.ts";
import type { Rootfs } from "../sys/rootfs.ts";

/** What a bind mount can be given by a second call only. */
const perMountFlags = MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC | MS.NOATIME | MS.NODIRATIME |
  MS.RELATIME | MS.STRICTATIME;

/** Where entries are mounted. */
export interface MountPlaces {
  /** The container's root folder, with what is mounted in it: targets are resolved inside it. */
  readonly rootfs: Rootfs;
  /** Sources that lie in the root folder are resolved inside this; other sources are the host's. */
  readonly sources: Rootfs;
}

/**
 * Mount an entry.
 *
 * @param warn told of an entry that is done without
 * @throws {SysError} when it fails and may not
 */
export function mountEntry(
  places: MountPlaces,
  entry: MountEntry,
  warn: (message: string) => void,
): void {
  try {
    attempt(places, entry);
  } catch (error) {
    const message = `${entry.place}: cannot mount ${entry.source} on ${entry.target}: ${
      reasonFor(entry, error)
    }`;
    if (!entry.nofail) {
      throw Object.assign(error instanceof Error ? error : new Error(), { message });
    }
    if (!entry.silent) warn(`${message}: going on without it`);
  }
}

/** Why an entry cannot be mounted, and what to do where that is known. */
function reasonFor(entry: MountEntry, error: unknown): string {
  const { source, target, flags } = entry;
  const reason = reasonOf(error);
  if (!(error instanceof SysError)) return reason;
  const { call, errno, subject } = error;
  if (errno === E.NOENT && call === "openat2" && subject === target) {
    const couldMake = entry.create === undefined && !entry.detach && (flags & MS.REMOUNT) === 0;
    return `there is no ${target} in the container${
      couldMake ? ": the option x-create=dir or x-create=file makes it" : ""
    }`;
  }
  // The target is held open by then.
  const isOfSource = call === "open_tree" || call === "mount" && source.startsWith("/");
  if (errno === E.NOENT && isOfSource) return `there is no ${source}`;
  // Below the source something is mounted that may not be uncovered.
  const isPlainBind = (flags & MS.BIND) !== 0 && (flags & MS.REC) === 0;
  const isCovered = errno === E.INVAL && call === "open_tree" && isPlainBind;
  return isCovered ? `${reason}: where something is mounted below it, use rbind` : reason;
}

/**
 * Set flags of a mount that is there; what it has and may not lose is kept.
 *
 * @param path where it is mounted
 * @throws {SysError}
 */
export function remount(path: string, set: number, clear: number, subject: string): void {
  const descriptor = must(openAt(AT.FDCWD, cstring(path), O.PATH), "open", subject);
  let has: number;
  try {
    has = mountFlagsOf(descriptor, subject);
  } finally {
    close(descriptor);
  }
  const flags = MS.REMOUNT | MS.BIND | has & ~(clear & perMountFlags) | set & perMountFlags;
  try {
    mount({ target: path, flags }, subject);
  } catch (error) {
    // Flags of the host's mount are locked: what it has beyond the wish stays.
    if (clear === 0) throw error;
    mount({ target: path, flags: flags | has }, subject);
  }
}

function attempt({ rootfs, sources }: MountPlaces, entry: MountEntry): void {
  const { target, flags } = entry;
  if (entry.detach) {
    rootfs.with(target, (path) => unmount(path, MNT_DETACH));
    return;
  }
  withSource(sources, entry, (source) => {
    if (entry.create !== undefined) rootfs.create(target, kindOf(entry.create, source));
    const isBind = (flags & MS.BIND) !== 0;
    if (entry.move) {
      rootfs.with(target, (path) => mount({ source, target: path, flags: MS.MOVE }, entry.source));
    } else if (isBind) {
      const isRecursive = (flags & MS.REC) !== 0;
      rootfs.with(target, (path) => {
        const names = { source: entry.source, target };
        bindMount({ source, target: path, isRecursive }, names, (made) => change(made, entry));
      });
      return;
    } else if ((flags & MS.REMOUNT) === 0 && (entry.type !== "none" || !hasPropagation(entry))) {
      rootfs.with(target, (path) => {
        mount({
          source,
          target: path,
          type: entry.type,
          flags,
          ...(entry.data === "" ? {} : { data: entry.data }),
        }, target);
      });
    }
    if ((flags & MS.REMOUNT) !== 0 || hasPropagation(entry)) {
      rootfs.with(target, (path) => change(path, entry));
    }
  });
}

/** What a line says of a mount that is there. */
function change(path: string, { target, flags, cleared, propagation }: MountEntry): void {
  const wanted = flags & perMountFlags;
  const isChange = (flags & (MS.BIND | MS.REMOUNT)) !== 0;
  if (isChange && (wanted !== 0 || cleared !== 0)) remount(path, wanted, cleared, target);
  for (const each of propagation) mount({ target: path, flags: each }, target);
}

/** Whether a line says how a mount propagates: one without a type says only that. */
function hasPropagation({ propagation }: MountEntry): boolean {
  return propagation.length > 0;
}

function withSource(
  rootfs: Rootfs,
  { source, flags, move }: MountEntry,
  use: (source: string) => void,
): void {
  const isPath = (flags & MS.BIND) !== 0 || move;
  const inside = `${rootfs.path}/`;
  if (!isPath || !source.startsWith(inside)) return use(source);
  // A relative path is one below the root folder, "" the folder itself.
  const path = source.slice(inside.length) || ".";
  if (rootfs.fileMode(path) === undefined) rootfs.create(path, "dir");
  rootfs.with(path, use);
}

function kindOf(create: "dir" | "file" | "auto", source: string): "dir" | "file" {
  if (create !== "auto") return create;
  try {
    return Deno.statSync(source).isDirectory ? "dir" : "file";
  } catch {
    return "dir";
  }
}
