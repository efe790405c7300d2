/**
 * The end that sends a container.
 *
 * @module
 */

import type { ContainerName } from "../storage/container_name.ts";
import { explain } from "../storage/zfs/delegation.ts";
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
  { signal, onProgress }: TransferOptions,
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
  await sayOffer(channel, { properties: { ...outgoing.carried }, streams });
  await hearGoOn(channel);
  const total = streams.reduce((sum, { size }) => sum + size, 0);
  let bytes = 0;
  let current: Planned["what"] | undefined;
  try {
    for (const { what, stream } of plan) {
      current = what;
      await using output = stream.open(signal);
      let sent = 0;
      await channel.send(output.bytes, (done) => onProgress(bytes + (sent = done), total));
      bytes += sent;
      await hearGoOn(channel);
    }
  } catch (error) {
    // A template stays anyway, and who says why it takes no more does not want the rest later.
    if (current === "container" && !(error instanceof RemoteError)) outgoing.keep();
    throw explain(error, parts.location);
  }
  return {
    bytes,
    isIncremental: isBaseThere && request.as === "container",
    isResumed: streams.some(({ isResumed }) => isResumed),
  };
}
