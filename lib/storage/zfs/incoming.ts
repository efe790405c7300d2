/**
 * Receiving streams, from files and from other hosts.
 *
 * A stream is hostile until it is shown to be a file system of its own: it is received unmounted below
 * `.receiving`, where nobody looks for containers, stripped of the properties it brought, and looked at.
 * What came of a stream that was cut stays there for a day, with the token to go on from.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import { createSha256 } from "../../std/node.ts";
import {
  childOf,
  type DatasetName,
  datasetOf,
  lastComponent,
  type SnapshotName,
  snapshotOf,
} from "../../zfs/dataset.ts";
import { ZfsError } from "../../zfs/error.ts";
import type { Expectation } from "../../zfs/stream_header.ts";
import { parseResumeToken, receive, type ResumeToken } from "../../zfs/streams.ts";
import { type Carried, carriedNames, carriedOf } from "./carried.ts";
import { checkedStream } from "./checked_stream.ts";
import { lockKey, type LockOptions, tryLockKey } from "./key_lock.ts";
import { layoutProperty, layoutVersion } from "./layout.ts";
import { makeMountPoint, pathOf, type Place, removeMountPoint } from "./mounter.ts";
import { destroyReceived, receivingLock, tidyReceiving, usedProperty } from "./receiving.ts";
import type { StoreParts } from "./zfs_store.ts";

/** What was received in part. */
export interface Unfinished {
  /** The GUID of the snapshot that it will be. */
  readonly guid: string;
  readonly token: ResumeToken;
}

/** A stream that is to become a dataset. */
export interface IncomingStream {
  /** Who sends it, as far as we know. */
  readonly peer: string;
  /** The GUID that was announced. */
  readonly guid: string;
  /** What it is the difference to, here. */
  readonly origin?: { readonly snapshot: SnapshotName; readonly guid: string } | undefined;
  /** Whether it may go on where one before was cut. */
  readonly isResumed: boolean;
  /**
   * Has it sent, once it can be taken.
   *
   * @param rest where it is to go on; absent: all of it
   */
  open(rest: ResumeToken | undefined): Promise<AsyncIterable<Uint8Array>>;
  /** How another process is waited for that receives the same. */
  readonly wait: LockOptions;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** A dataset that was received and looked at. Disposing of it destroys it, unless it got another name. */
export interface ReceivedDataset extends AsyncDisposable {
  readonly dataset: DatasetName;
  /** Mount it. @returns where */
  mount(): Promise<string>;
}

/** What is received last is called this, for as long as it lies below `.receiving`. */
const snapshotName = "pristine";

const guidProperty = "enroot:receiving";

/** Properties that a stream may bring and `zfs inherit` refuses: each is a dataset's own. */
const limits: ReadonlySet<string> = new Set([
  ...["quota", "refquota", "reservation", "refreservation"],
  ...["filesystem_limit", "snapshot_limit"],
]);

/** Receives streams into a store. */
export class Incoming {
  readonly #parts: StoreParts;
  readonly #uid: number;
  readonly #keepsOwners: boolean;

  /** @param options.keepsOwners files may be anybody's; otherwise they must be the store's owner's */
  constructor(
    parts: StoreParts,
    { uid = Deno.uid() ?? 0, keepsOwners }: {
      readonly uid?: number;
      readonly keepsOwners: boolean;
    },
  ) {
    this.#parts = parts;
    this.#uid = uid;
    this.#keepsOwners = keepsOwners;
  }

  /**
   * The id of a template that came from another host. It says nothing of an image: nobody checked its
   * content, so it is only for what comes from there.
   */
  templateId(peer: string, guid: string): string {
    return `${keyOf(peer, guid)}-received`;
  }

  /**
   * The templates that a stream of this peer can be the difference to, by the GUID of their snapshots:
   * our own, and what came from there.
   *
   * @throws {ZfsError}
   */
  async bases(peer: string): Promise<Map<string, SnapshotName>> {
    const { zfs, layout } = this.#parts;
    const rows = await zfs.list([layout.templates], {
      depth: 2,
      types: ["snapshot"],
      columns: ["guid", layoutProperty],
    });
    return new Map(rows.flatMap((row) => {
      const snapshot = row.name as SnapshotName;
      const id = lastComponent(datasetOf(snapshot));
      const isWhole = row.name.endsWith("@pristine") && !id.endsWith(".tmp") &&
        row[layoutProperty] === layoutVersion;
      const isTrusted = !id.endsWith("-received") || id === this.templateId(peer, row.guid);
      return isWhole && isTrusted ? [[row.guid, snapshot]] : [];
    }));
  }

  /**
   * Keep a template from being evicted, until what this returns is disposed of. Another process may do so
   * already: then nothing is returned.
   */
  hold(base: SnapshotName): Disposable | undefined {
    const { layout, builder } = this.#parts;
    const name = builder.lockName("template", lastComponent(datasetOf(base)));
    return tryLockKey(layout.locks, name);
  }

  /**
   * What is there of streams of this peer that were cut, or are being received: whoever sends them knows.
   *
   * @throws {ZfsError}
   */
  async unfinished(peer: string): Promise<Unfinished[]> {
    const { zfs, layout } = this.#parts;
    const rows = await zfs.list([layout.receiving], {
      depth: 1,
      types: ["filesystem"],
      columns: [guidProperty, "receive_resume_token"],
    });
    return rows.flatMap((row) => {
      const guid = row[guidProperty];
      const token = row["receive_resume_token"];
      const isOurs = row.name === this.#dataset(peer, guid);
      return isOurs && token !== "-" ? [{ guid, token: parseResumeToken(token) }] : [];
    });
  }

  /**
   * Receive a stream of a peer. When it is cut, what came is kept.
   *
   * Another process that receives the same is waited for, before this one is sent: what is there by then is gone
   * on with.
   *
   * @throws {EnrootError} code `bad-stream`, `not-owner`; {@linkcode ZfsError} reason `no-space`; what
   * the source throws
   */
  async receive(stream: IncomingStream): Promise<ReceivedDataset> {
    const { peer, guid, origin, isResumed, wait, signal } = stream;
    const { zfs, layout } = this.#parts;
    const key = keyOf(peer, guid);
    const dataset = this.#dataset(peer, guid);
    await layout.ensureReceiving();
    await using stack = new AsyncDisposableStack();
    stack.use(await this.#lock(key, wait));
    const rest = isResumed ? await this.#tokenOf(dataset) : undefined;
    if (rest === undefined) await this.#destroy(dataset);
    const bytes = await stream.open(rest);
    const expected: Expectation = {
      mayBePackage: false,
      guid,
      ...(origin === undefined ? {} : { from: origin.guid }),
    };
    try {
      await receive(
        {
          target: snapshotOf(dataset, snapshotName),
          ...(rest !== undefined ? {} : {
            origin: origin?.snapshot,
            properties: { [guidProperty]: guid, [usedProperty]: epochSeconds() },
          }),
          isResumable: true,
          isRoot: this.#uid === 0,
        },
        checkedStream(bytes, expected),
        signal,
      );
    } catch (error) {
      // What ZFS refused, it would refuse again; what was cut can be gone on with.
      const isRefused = error instanceof ZfsError ||
        error instanceof EnrootError && error.code === "bad-stream";
      if (isRefused) await this.#destroy(dataset);
      throw error;
    }
    stack.defer(() => this.#destroy(dataset));
    await this.#approve(dataset);
    await zfs.inherit(dataset, guidProperty);
    const owned = stack.move();
    return {
      dataset,
      mount: () => this.#mount(this.#place(key)),
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    };
  }

  /**
   * Receive the template that a peer's container is a clone of.
   *
   * @param target what it is to be called
   * @throws as {@linkcode receive}
   */
  async receiveTemplate(stream: IncomingStream, target: SnapshotName): Promise<void> {
    await using received = await this.receive(stream);
    await this.#parts.zfs.rename(received.dataset, datasetOf(target));
  }

  /**
   * Receive a whole stream, maybe with properties, of which those are taken that may travel.
   *
   * @returns them
   * @throws as {@linkcode receive}; nothing is left then
   */
  async receiveWhole(
    target: SnapshotName,
    bytes: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<Carried> {
    const { zfs } = this.#parts;
    const dataset = datasetOf(target);
    await receive(
      { target, isResumable: false, isRoot: this.#uid === 0 },
      checkedStream(bytes, { mayBePackage: true }),
      signal,
    );
    const [row] = await zfs.list([target], { columns: carriedNames });
    await this.#approve(dataset);
    return carriedOf(row ?? {});
  }

  /** Receive a whole stream as a dataset of no name. @throws as {@linkcode receiveWhole} */
  async receiveUnnamed(
    bytes: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<ReceivedDataset> {
    const { zfs, layout } = this.#parts;
    const key = keyOf("", crypto.randomUUID());
    const dataset = childOf(layout.receiving, key);
    await layout.ensureReceiving();
    await using stack = new AsyncDisposableStack();
    stack.use(await this.#lock(key, { signal }));
    stack.defer(() => this.#destroy(dataset));
    const carried = await this.receiveWhole(snapshotOf(dataset, snapshotName), bytes, signal);
    await zfs.set(dataset, { [usedProperty]: epochSeconds(), ...carried });
    const owned = stack.move();
    return {
      dataset,
      mount: () => this.#mount(this.#place(key)),
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    };
  }

  /** A received dataset as a container's: without its snapshot, and with these properties. */
  async dress({ dataset }: ReceivedDataset, carried: Carried): Promise<void> {
    const { zfs } = this.#parts;
    await zfs.destroy(snapshotOf(dataset, snapshotName));
    await zfs.inherit(dataset, usedProperty);
    if (Object.keys(carried).length > 0) await zfs.set(dataset, carried);
  }

  /** Destroy what is a day old and nobody is at work on. What goes wrong is a warning. */
  async tidy(): Promise<void> {
    const { zfs, layout } = this.#parts;
    const rows = await zfs.list([layout.receiving], {
      depth: 1,
      types: ["filesystem"],
      columns: [usedProperty],
    });
    await tidyReceiving(this.#parts, rows);
  }

  /** Where the stream of a dataset was cut, if it is there and has not come whole. */
  async #tokenOf(dataset: DatasetName): Promise<ResumeToken | undefined> {
    const [row] = await this.#parts.zfs.list([dataset], { columns: ["receive_resume_token"] });
    const token = row?.["receive_resume_token"] ?? "-";
    return token === "-" ? undefined : parseResumeToken(token);
  }

  /** Take away what it brought, and see that it is one file system, of one who may have it here. */
  async #approve(dataset: DatasetName): Promise<void> {
    const { zfs, mounter, location } = this.#parts;
    const rows = await zfs.list([dataset], { depth: 2, columns: ["guid"] });
    const names = rows.map(({ name }): string => name.slice(dataset.length));
    if (names.length !== 2 || names[0] !== "" || !names[1]?.startsWith("@")) {
      throw new EnrootError("bad-stream", "this is no ZFS stream of a container: it holds several");
    }
    for (const property of await zfs.receivedProperties(dataset)) {
      if (limits.has(property)) await zfs.set(dataset, { [property]: "none" });
      else await zfs.inherit(dataset, property);
    }
    const place = this.#parts.layout.placeOf(dataset);
    try {
      await this.#mount(place);
      const { uid } = await Deno.stat(pathOf(place));
      if (uid !== location.owner && !this.#keepsOwners) {
        throw notOwner(`uid ${uid}`, location.owner);
      }
    } catch (error) {
      // The helper looks at the owner before anybody else can.
      const isForeign = error instanceof EnrootError && /root folder/.test(error.message);
      throw isForeign ? notOwner("another user", location.owner, error) : error;
    } finally {
      await mounter.unmount(place);
      removeMountPoint(place);
    }
  }

  async #mount(place: Place): Promise<string> {
    makeMountPoint(place);
    await this.#parts.mounter.mount(place);
    return pathOf(place);
  }

  #destroy(dataset: DatasetName): Promise<void> {
    return destroyReceived(this.#parts, dataset);
  }

  #lock(key: string, options: LockOptions): ReturnType<typeof lockKey> {
    return lockKey(this.#parts.layout.locks, receivingLock(key), options);
  }

  #dataset(peer: string, guid: string): DatasetName {
    return childOf(this.#parts.layout.receiving, keyOf(peer, guid));
  }

  #place(key: string): Place {
    const { layout } = this.#parts;
    return layout.placeOf(childOf(layout.receiving, key));
  }
}

/** GUIDs are the sender's to choose: what came from one must not be taken for what another sends. */
function keyOf(peer: string, guid: string): string {
  const sum = createSha256();
  sum.update(new TextEncoder().encode(`${peer}\n${guid}`));
  return sum.digest("hex");
}

function notOwner(whose: string, owner: number, cause?: unknown): EnrootError {
  return new EnrootError(
    "not-owner",
    `the files in this stream belong to ${whose}, and this store to uid ${owner}: a stream keeps ` +
      "their owners, a squashfs file does not (export --format=sqsh)",
    { cause },
  );
}

function epochSeconds(): string {
  return String(Math.floor(Date.now() / 1000));
}
