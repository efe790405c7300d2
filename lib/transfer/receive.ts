/**
 * The end that receives a container.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import { carriedOf } from "../storage/zfs/carried.ts";
import { explain } from "../storage/zfs/delegation.ts";
import type { Incoming, IncomingStream, ReceivedDataset } from "../storage/zfs/incoming.ts";
import type { ZfsStore } from "../storage/zfs/zfs_store.ts";
import { isNoSpace, noRoom } from "../storage/zfs/no_space.ts";
import type { SnapshotName } from "../zfs/dataset.ts";
import type { Channel } from "./channel.ts";
import { hearOffer, type Offer, type OfferedStream, sayGoOn, sayRequest } from "./messages.ts";
import type { TransferOptions, TransferSummary } from "./send.ts";
import { Wait } from "./wait.ts";

/** What is to become of a container that is received. */
export interface ReceiveRequest extends TransferOptions {
  /** Who sends it, as far as we know; nobody else's templates are built on. */
  readonly peer: string;
  /** Makes of the dataset what it is for, before the other end is told that all went well. */
  use(received: ReceivedDataset): Promise<void>;
}

/**
 * Receive a container: the template that it is a clone of, where that is not there yet, and then the
 * difference.
 *
 * When it is cut, what came is kept for a day, and the next call goes on with it.
 *
 * @throws {EnrootError} code `no-space`, `bad-stream`, `not-owner`, `bad-peer`; `CutError`,
 * `RemoteError`; what `use` throws
 */
export async function receiveContainer(
  channel: Channel,
  store: ZfsStore,
  incoming: Incoming,
  request: ReceiveRequest,
): Promise<TransferSummary> {
  const { peer, signal } = request;
  await incoming.tidy();
  const bases = await incoming.bases(peer);
  await sayRequest(channel, {
    as: "container",
    bases: [...bases.keys()],
    unfinished: await incoming.unfinished(peer),
  });
  const offer = await hearOffer(channel);
  const { template, container } = streamsOf(offer, bases);
  const total = offer.streams.reduce((sum, { size }) => sum + size, 0);
  await using held = new AsyncDisposableStack();
  const hold = (base: SnapshotName | undefined): SnapshotName | undefined => {
    if (base !== undefined) held.use(incoming.hold(base));
    return base;
  };
  let base = hold(bases.get(container.from ?? ""));
  await makeRoom(store, total);
  let bytes = 0;
  let isResumed = false;
  let isIncremental = container.from !== undefined;
  const takeAfter = (wait: Wait): IncomingStream["open"] => async (token) => {
    wait[Symbol.dispose]();
    isResumed ||= token !== undefined;
    await sayGoOn(channel, { go: "on", ...(token === undefined ? {} : { token }) });
    const before = bytes;
    return channel.receive((done) => request.onProgress(bytes = before + done, total));
  };
  try {
    if (template !== undefined) {
      const { guid } = template;
      using wait = new Wait(channel, request);
      // It comes once: what a store would do again, it cannot do.
      let first: Promise<void> | undefined;
      const open = takeAfter(wait);
      held.use(
        await store.obtainTemplate({
          id: incoming.templateId(peer, guid),
          provenance: {},
          size: template.size,
          signal: wait.signal,
          build: () => Promise.reject(new Error("a template of another host is received")),
          receive: async (target) => {
            isIncremental = false;
            first ??= incoming.receiveTemplate({ ...template, peer, open, wait, signal }, target);
            await first;
            return carriedOf(offer.properties);
          },
          onWait: wait.onWait,
        }),
      );
      // Another process may have had it first.
      if (first === undefined) await sayGoOn(channel, { go: "past" });
      base = hold((await incoming.bases(peer)).get(guid));
    }
    const { from } = container;
    const origin = from === undefined || base === undefined
      ? undefined
      : { snapshot: base, guid: from };
    using wait = new Wait(channel, request);
    await using received = await incoming.receive(
      { ...container, peer, origin, open: takeAfter(wait), wait, signal },
    );
    await incoming.dress(received, carriedOf(offer.properties));
    await request.use(received);
    await sayGoOn(channel);
  } catch (error) {
    const { zfs, location } = store.parts;
    if (!isNoSpace(error)) throw explain(error, location);
    throw await noRoom("the container", { zfs, store: location.dataset }, error);
  }
  return {
    bytes,
    isIncremental,
    isResumed,
  };
}

/** Receive a container as a file's content. @throws as {@linkcode receiveContainer} */
export async function receiveFile(
  channel: Channel,
  { onProgress, write }: {
    readonly onProgress: TransferOptions["onProgress"];
    readonly write: (bytes: AsyncIterable<Uint8Array>) => Promise<void>;
  },
): Promise<void> {
  await sayRequest(channel, { as: "file", bases: [], unfinished: [] });
  const { streams: [stream] } = await hearOffer(channel);
  if (stream?.what !== "whole") throw notAsked();
  await sayGoOn(channel);
  await write(channel.receive((done) => onProgress(done, stream.size)));
  await sayGoOn(channel);
}

/** @throws {EnrootError} code `bad-peer` when an offer is no answer to what was asked for */
function streamsOf(
  { streams }: Offer,
  bases: ReadonlyMap<string, SnapshotName>,
): { template: OfferedStream | undefined; container: OfferedStream } {
  const container = streams.at(-1);
  const template = streams.length > 1 ? streams[0] : undefined;
  if (container?.what !== "container") throw notAsked();
  if (template !== undefined) {
    const isItsOrigin = template.what === "template" && template.from === undefined &&
      template.guid === container.from;
    if (!isItsOrigin) throw notAsked();
  } else if (container.from !== undefined && !bases.has(container.from)) throw notAsked();
  return { template, container };
}

/** Let go of what nobody uses when all that is announced has no room beside it. */
async function makeRoom(store: ZfsStore, size: number): Promise<void> {
  const { zfs, location: { dataset } } = store.parts;
  const [row] = await zfs.list([dataset], { columns: ["available"] });
  if (Number(row?.available) > size) return;
  await store.prune({ all: true, isDryRun: false });
  const [now] = await zfs.list([dataset], { columns: ["available"] });
  if (Number(now?.available) > size) return;
  const needed = new Error(`${(size / 2 ** 20).toFixed(1)} MiB are needed`);
  throw await noRoom("the container", { zfs, store: dataset }, needed);
}

function notAsked(): EnrootError {
  return new EnrootError("bad-peer", "the other end offers what was not asked for");
}
