/**
 * The end that sends a container.
 *
 * @module
 */

import type { ContainerName } from "../storage/container_name.ts";
import { openContainer, type OutgoingStream } from "../storage/zfs/outgoing.ts";
import type { StoreParts } from "../storage/zfs/zfs_store.ts";
import { parseResumeToken } from "../zfs/streams.ts";
import { type Channel, RemoteError } from "./channel.ts";
import { hearGoOn, hearRequest, type OfferedStream, sayOffer } from "./messages.ts";

/** How a transfer is told about. */
export interface TransferOptions {
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Told how many bytes went, and of about how many. */
  readonly onProgress: (done: number, total: number) => void;
  /** Told for whom the receiver waits: another process of its host that receives the same. */
  readonly onWait: (holder: string) => void;
}

/** What went over the wire. */
export interface TransferSummary {
  /** Bytes of streams. */
  readonly bytes: number;
  /** Whether the other end had the template already. */
  readonly isIncremental: boolean;
  /** Whether it went on where one before was cut. */
  readonly isResumed: boolean;
}

type Planned = { readonly what: OfferedStream["what"]; readonly stream: OutgoingStream };

/**
 * Send a container as it is now, to one who asks for it.
 *
 * When it is cut its snapshot stays, so that it can be gone on with.
 *
 * @throws {EnrootError} code `not-found`; `CutError`, `RemoteError`; `ZfsError`
 */
export async function sendContainer(
  channel: Channel,
  parts: StoreParts,
  name: ContainerName,
  { signal, onProgress, onWait }: TransferOptions,
): Promise<TransferSummary> {
  const request = await hearRequest(channel);
  const unfinished = request.unfinished.map(({ guid, token }) => ({
    guid,
    token: parseResumeToken(token),
  }));
  await using outgoing = await openContainer(parts, name, {
    unfinished,
    isForFile: request.as === "file",
  });
  const plan: Planned[] = [];
  const { origin } = outgoing;
  const isBaseThere = origin !== undefined && request.bases.includes(origin.guid);
  if (request.as === "file") {
    plan.push({ what: "whole", stream: await outgoing.whole() });
  } else {
    if (origin !== undefined && !isBaseThere) {
      plan.push({ what: "template", stream: await outgoing.template() });
    }
    plan.push({ what: "container", stream: await outgoing.container() });
  }
  const streams = plan.map(({ what, stream: { guid, from, isResumed, size } }) => ({
    ...{ what, guid, isResumed, size },
    ...(from === undefined ? {} : { from }),
  }));
  const total = streams.reduce((sum, { size }) => sum + size, 0);
  let bytes = 0;
  let [isIncremental, isResumed] = [isBaseThere && request.as === "container", false];
  let isBegun = streams.some(({ what, isResumed }) => what === "container" && isResumed);
  try {
    await sayOffer(channel, { properties: { ...outgoing.carried }, streams });
    for (const { what, stream } of plan) {
      const { go, token } = await hearGoOn(channel, onWait);
      if (go === "past") {
        isIncremental = true;
        continue;
      }
      isResumed ||= token !== undefined;
      const rest = token === undefined ? undefined : parseResumeToken(token);
      await using output = await stream.open(signal, rest);
      const before = bytes;
      await channel.send(output.bytes, (done) => {
        isBegun ||= what === "container";
        onProgress(bytes = before + done, total);
      });
    }
    await hearGoOn(channel, onWait);
  } catch (error) {
    // A template stays anyway, and who says why it takes no more does not want the rest later.
    if (isBegun && !(error instanceof RemoteError)) outgoing.keep();
    throw error;
  }
  return { bytes, isIncremental, isResumed };
}
