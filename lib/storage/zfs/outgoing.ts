/**
 * Sending containers: as they are now, by a snapshot that goes when it was sent.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../errors.ts";
import type { ProgramOutput } from "../../process/read_output.ts";
import { datasetOf, type SnapshotName } from "../../zfs/dataset.ts";
import { ZfsError } from "../../zfs/error.ts";
import { estimateSend, openSend, type ResumeToken, type Sending } from "../../zfs/streams.ts";
import { noSuchContainer } from "../container_errors.ts";
import type { ContainerName } from "../container_name.ts";
import { type Carried, carriedNames, carriedOf } from "./carried.ts";
import { containerDataset } from "./dataset_names.ts";
import { explain } from "./delegation.ts";
import type { Unfinished } from "./incoming.ts";
import { keptFor, newSnapshotName, prefixes, tidySent, tryTakeSent } from "./sent_snapshots.ts";
import type { StoreParts } from "./zfs_store.ts";

/** One stream that can be sent. */
export interface OutgoingStream {
  /** The GUID of its snapshot. */
  readonly guid: string;
  /** The GUID of the snapshot that it is the difference to. */
  readonly from: string | undefined;
  /** Whether it can go on where one before was cut. */
  readonly isResumed: boolean;
  /** About how many bytes. */
  readonly size: number;
  /**
   * Begin to send.
   *
   * @param rest where the other end has it go on, which it may know better by now; absent: all of it
   * @returns its bytes throw {@linkcode ZfsError}, {@linkcode EnrootError} code `not-delegated`
   * @throws {EnrootError} code `bad-peer` when that is no part of this stream
   */
  open(signal: AbortSignal, rest?: ResumeToken): Promise<ProgramOutput>;
}

/** A container as it is now. Disposing of it removes its snapshot, unless it is kept. */
export interface OutgoingContainer extends AsyncDisposable {
  /** Where its image came from. */
  readonly carried: Carried;
  /** The template that it is a clone of, if that is of this store. */
  readonly origin: { readonly guid: string } | undefined;
  /** Its template, for one who does not have it. */
  template(): Promise<OutgoingStream>;
  /** The difference to its template, or all of it when it has none here. */
  container(): Promise<OutgoingStream>;
  /** All of it, with properties, in a stream that can be kept in a file. */
  whole(): Promise<OutgoingStream>;
  /** Leave the snapshot: a transfer was cut, and may go on. */
  keep(): void;
}

/** Why a container is sent. */
export interface OutgoingOptions {
  /** What the other end has of transfers that were cut, or are under way. */
  readonly unfinished?: readonly Unfinished[];
  /** Whether it is all for a file, and cannot be gone on with. */
  readonly isForFile?: boolean;
}

/** A snapshot by name and GUID. */
interface Snapshot {
  readonly name: SnapshotName;
  readonly guid: string;
}

/**
 * Take a container's state.
 *
 * When the other end has something of a transfer that was cut, and the container has not changed since, the
 * snapshot of then is taken again.
 *
 * @throws {EnrootError} code `not-found`, `not-delegated`; {@linkcode ZfsError}
 */
export function openContainer(
  parts: StoreParts,
  name: ContainerName,
  options: OutgoingOptions = {},
): Promise<OutgoingContainer> {
  return explained(parts, () => open(parts, name, options));
}

async function open(
  parts: StoreParts,
  name: ContainerName,
  { unfinished = [], isForFile = false }: OutgoingOptions,
): Promise<OutgoingContainer> {
  const { zfs, location, layout, warn } = parts;
  await tidySent(parts, location.dataset);
  const dataset = containerDataset(location.dataset, name);
  const rows = await zfs.list([dataset], {
    depth: 1,
    columns: ["guid", "origin", "creation", ...carriedNames],
  });
  const [own, ...snapshots] = rows;
  if (own === undefined) throw noSuchContainer(name);
  const originRows = own.origin === "-" ? [] : await zfs.list(
    [datasetOf(own.origin as SnapshotName), own.origin as SnapshotName],
    { columns: ["guid", ...carriedNames] },
  );
  const [template, origin] = originRows;
  const carried = { ...carriedOf(template ?? {}), ...carriedOf(own) };

  await using undo = new AsyncDisposableStack();
  const { name: sent, lock } = newSnapshotName(layout, dataset, isForFile ? "file" : "transfer");
  undo.use(lock);
  await zfs.snapshot(sent, carried);
  const destroy = async (snapshot: SnapshotName): Promise<void> => {
    try {
      await zfs.destroy(snapshot, { tries: 1 });
    } catch (error) {
      // Another transfer of it is under way, or was, and took it away.
      if (error instanceof ZfsError && /busy|not-found/.test(error.reason)) return;
      warn(`the snapshot ${snapshot} stays: ${reasonOf(error)}`);
    }
  };
  undo.defer(() => destroy(sent));

  const left = snapshots.filter((row) => row.name.startsWith(`${dataset}@${prefixes.transfer}`));
  const now = Date.now() / 1000;
  for (const row of left) {
    if (now - Number(row.creation) > keptFor) await destroy(row.name as SnapshotName);
  }
  const cutRow = left.find(({ guid }) => unfinished.some((each) => each.guid === guid));
  const cut = cutRow && { name: cutRow.name as SnapshotName, guid: cutRow.guid };
  // Whose sender is at work was not cut: its receiver has a beginning of it, too.
  const taken = cut && tryTakeSent(layout, cut.name);
  if (taken !== undefined) undo.use(taken);
  let current: Snapshot;
  if (cut !== undefined && taken !== undefined && await isUnchangedSince(parts, cut.name)) {
    current = cut;
    await destroy(sent);
    undo.defer(() => destroy(cut.name));
  } else {
    // The one who has its beginning is about to have all of the new one.
    if (cut !== undefined && taken !== undefined) await destroy(cut.name);
    taken?.[Symbol.dispose]();
    const [row] = await zfs.list([sent], { columns: ["guid"] });
    current = { name: sent, guid: row?.guid ?? "" };
  }
  let isKept = false;
  const owned = undo.move();
  // A template that root lends is not his to send: of its clone all goes.
  const isOwn = origin?.name.startsWith(`${location.dataset}/`) === true;
  const base = isOwn ? { name: origin.name as SnapshotName, guid: origin.guid } : undefined;
  const streamOf = (
    snapshot: Snapshot,
    options: { readonly from?: Snapshot | undefined; readonly withProperties?: boolean } = {},
  ): Promise<OutgoingStream> =>
    explained(parts, () => describe(parts, snapshot, { ...options, unfinished }));
  return {
    carried,
    origin: base,
    template() {
      if (base === undefined) throw new Error("it is a clone of nothing here");
      return streamOf(base);
    },
    container: () => streamOf(current, { from: base }),
    whole: () => streamOf(current, { withProperties: true }),
    keep: () => void (isKept = true),
    async [Symbol.asyncDispose]() {
      if (!isKept) return await owned.disposeAsync();
      if (current.name !== sent) lock[Symbol.dispose]();
      (current.name === sent ? lock : taken)?.leave();
    },
  };
}

/**
 * Whether nothing was written to a dataset since a snapshot of it. Another one must have been taken just
 * now: it has the kernel write what it still held back.
 */
async function isUnchangedSince({ zfs }: StoreParts, snapshot: SnapshotName): Promise<boolean> {
  const written = `written@${snapshot.slice(snapshot.indexOf("@") + 1)}`;
  const [row] = await zfs.list([datasetOf(snapshot)], { columns: [written] });
  return row?.[written] === "0";
}

async function describe(
  parts: StoreParts,
  snapshot: Snapshot,
  { from, withProperties = false, unfinished }: {
    readonly from?: Snapshot | undefined;
    readonly withProperties?: boolean;
    readonly unfinished: readonly Unfinished[];
  },
): Promise<OutgoingStream> {
  const whole: Sending = {
    snapshot: snapshot.name,
    ...(from === undefined ? {} : { from: from.name }),
    withProperties,
  };
  const token = withProperties
    ? undefined
    : unfinished.find(({ guid }) => guid === snapshot.guid)?.token;
  const rest = token === undefined ? undefined : await sizeOfRest(snapshot, token);
  const size = rest ?? (await estimateSend(whole)).size;
  return {
    guid: snapshot.guid,
    from: from?.guid,
    isResumed: rest !== undefined,
    size,
    open: (signal, now) =>
      explained(parts, async () => {
        const isKnown = now === undefined || now === token && rest !== undefined;
        if (!isKnown && await sizeOfRest(snapshot, now) === undefined) throw otherToken();
        const output = openSend(now === undefined ? whole : { token: now }, signal);
        return {
          bytes: explainedBytes(parts, output.bytes),
          [Symbol.asyncDispose]: () => output[Symbol.asyncDispose](),
        };
      }),
  };
}

/** How much is left to send, when a token is for this very snapshot. */
async function sizeOfRest(
  { name }: Snapshot,
  token: ResumeToken,
): Promise<number | undefined> {
  try {
    const { size, snapshot } = await estimateSend({ token });
    // The other end wrote the token: it must not choose what is sent.
    return snapshot === name ? size : undefined;
  } catch (error) {
    if (error instanceof EnrootError) return undefined;
    throw error;
  }
}

function otherToken(): EnrootError {
  return new EnrootError("bad-peer", "the other end goes on with something that was not offered");
}

/** Whatever ZFS refuses for want of permission, with what an administrator has to do. */
async function explained<T>({ location }: StoreParts, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw explain(error, location);
  }
}

async function* explainedBytes<T>(
  { location }: StoreParts,
  bytes: AsyncIterable<T>,
): AsyncGenerator<T> {
  try {
    yield* bytes;
  } catch (error) {
    throw explain(error, location);
  }
}
