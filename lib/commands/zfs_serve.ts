/**
 * Containers from and to other hosts, at the end that ssh has called; and the same without a protocol, for
 * pipes.
 *
 * @module
 */

import { EnrootError, reasonOf, UsageError } from "../errors.ts";
import { withTermination } from "../process/signals.ts";
import { nameTaken } from "../storage/container_errors.ts";
import { type ContainerName, parseContainerName } from "../storage/container_name.ts";
import { zfsStoreOf } from "../storage/zfs/backend.ts";
import { decodeName } from "../storage/zfs/dataset_names.ts";
import { openContainer } from "../storage/zfs/outgoing.ts";
import type { ReceivedDataset } from "../storage/zfs/incoming.ts";
import { Channel, CutError, type Pipe } from "../transfer/channel.ts";
import { protocolVersion, sayFailure, sayHello } from "../transfer/messages.ts";
import { receiveContainer } from "../transfer/receive.ts";
import { sendContainer, type TransferOptions } from "../transfer/send.ts";
import type { Context } from "./command.ts";
import { configOf, openStore } from "./store.ts";
import { incomingOf } from "./zfs_file.ts";

/** Whoever pushes has logged in as this store's owner: his templates are one lot. */
const pushed = "pushed";

/** Nobody looks on here; the other end is told what matters. */
const unseen: Pick<TransferOptions, "onProgress" | "onWait"> = {
  onProgress() {},
  onWait() {},
};

/** `export --zfs-send`: a container to standard output. @throws {EnrootError} */
export async function serveSend(
  context: Context,
  text: string,
  protocol: string | undefined,
): Promise<void> {
  if (Deno.stdout.isTerminal()) {
    throw new UsageError("--zfs-send writes a stream, not for a terminal");
  }
  if (protocol === undefined) {
    return await withTermination(async (signal) => {
      const store = zfsStoreOf(await openStore(context, await configOf(context)));
      await using container = await openContainer(store.parts, parseContainerName(text), {
        isForFile: true,
      });
      await using output = await (await container.whole()).open(signal);
      for await (const bytes of output.bytes) await standardPipe.write(bytes);
    });
  }
  await serve(protocol, async (channel, signal) => {
    const store = zfsStoreOf(await openStore(context, await configOf(context)));
    await sendContainer(channel, store.parts, nameOf(text), { signal, ...unseen });
  });
}

/** `import --zfs-recv`: a container from standard input. @throws {EnrootError} */
export async function serveReceive(
  context: Context,
  text: string,
  { protocol, force }: { readonly protocol: string | undefined; readonly force: boolean },
): Promise<void> {
  if (Deno.stdin.isTerminal()) {
    throw new UsageError("--zfs-recv reads a stream, not from a terminal");
  }
  const open = async (name: ContainerName) => {
    const config = await configOf(context);
    const store = zfsStoreOf(await openStore(context, config));
    store.ready();
    const replace = force || config.forceOverride;
    if (!replace && await store.hasContainer(name)) throw nameTaken(name);
    const use = async ({ dataset }: ReceivedDataset): Promise<void> => {
      await store.adoptContainer(dataset, name, { replace });
    };
    return { store, incoming: incomingOf(config, store), use };
  };
  if (protocol === undefined) {
    return await withTermination(async (signal) => {
      const { store, incoming, use } = await open(parseContainerName(text));
      await using received = await incoming.receiveUnnamed(standardInput(), signal);
      await incoming.dress(received, {});
      await use(received);
      await store.maintain();
    });
  }
  await serve(protocol, async (channel, signal) => {
    const { store, incoming, use } = await open(nameOf(text));
    await receiveContainer(channel, store, incoming, {
      peer: pushed,
      signal,
      use,
      ...unseen,
    });
    await store.maintain();
  });
}

/** Do this end's part, and tell the other end when it fails. */
async function serve(
  protocol: string,
  work: (channel: Channel, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  if (protocol !== protocolVersion) {
    throw new EnrootError(
      "bad-peer",
      `this enroot speaks version ${protocolVersion}, not ${protocol}: install the same one on both hosts`,
    );
  }
  const channel = new Channel(standardPipe);
  await withTermination(async (signal) => {
    try {
      await sayHello(channel);
      using _alive = channel.keepAlive();
      await work(channel, signal);
    } catch (error) {
      const isThere = !signal.aborted && !(error instanceof CutError);
      if (isThere) await sayFailure(channel, reasonOf(error));
      throw error;
    }
  });
}

/** A name as `remoteCommand` writes it. */
function nameOf(text: string): ContainerName {
  return decodeName(text) ?? parseContainerName(text);
}

const standardPipe: Pipe = {
  async read() {
    const buffer = new Uint8Array(1 << 17);
    const length = await Deno.stdin.read(buffer);
    return length === null ? undefined : buffer.subarray(0, length);
  },
  async write(bytes) {
    for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
  },
};

async function* standardInput(): AsyncGenerator<Uint8Array> {
  for (let bytes; (bytes = await standardPipe.read()) !== undefined;) yield bytes;
}
