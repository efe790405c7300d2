/**
 * Containers from and to other hosts, at the end where the user is.
 *
 * @module
 */

import type { Config } from "../config/config.ts";
import { EnrootError } from "../errors.ts";
import { noSuchContainer } from "../storage/container_errors.ts";
import type { ContainerName } from "../storage/container_name.ts";
import type { PartialFile } from "../storage/partial_file.ts";
import type { Store } from "../storage/store.ts";
import { zfsStoreOf } from "../storage/zfs/backend.ts";
import type { ReceivedDataset } from "../storage/zfs/incoming.ts";
import { Channel, CutError, RemoteError, SilentError } from "../transfer/channel.ts";
import { hearHello, sayFailure } from "../transfer/messages.ts";
import { receiveContainer, receiveFile } from "../transfer/receive.ts";
import { sendContainer, type TransferSummary } from "../transfer/send.ts";
import { connect, type RemoteTask } from "../transfer/ssh.ts";
import { hostOf, type ZfsUri } from "../transfer/zfs_uri.ts";
import type { Context } from "./command.ts";
import { formatBytes } from "./units.ts";
import { incomingOf, writeAll } from "./zfs_file.ts";

/** A container on another host that exists. */
type NamedUri = ZfsUri & { readonly name: ContainerName };

/**
 * Receive a container of another host.
 *
 * @param use makes of it what it is for
 * @throws {EnrootError} naming the host
 */
export async function pull(
  context: Context,
  config: Config,
  store: Store,
  { uri, signal }: { readonly uri: NamedUri; readonly signal: AbortSignal },
  use: (received: ReceivedDataset) => Promise<void>,
): Promise<void> {
  const { terminal } = context;
  const zfsStore = zfsStoreOf(store);
  const incoming = incomingOf(config, store);
  await converse(
    context,
    config,
    uri,
    { does: "send", name: uri.name },
    signal,
    (channel) =>
      receiveContainer(channel, zfsStore, incoming, {
        peer: hostOf(uri),
        signal,
        use,
        onProgress: (done, total) => terminal.progress("Receiving", done, total),
        onWait: (holder) => terminal.log("info", `Waiting for ${holder}, which receives the same`),
      }),
  );
}

/** Write a container of another host to a file. @throws {EnrootError} naming the host */
export async function pullFile(
  context: Context,
  config: Config,
  { uri, file, signal }: {
    readonly uri: NamedUri;
    readonly file: PartialFile;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { terminal } = context;
  await converse(
    context,
    config,
    uri,
    { does: "send", name: uri.name },
    signal,
    (channel) =>
      receiveFile(channel, {
        onProgress: (done, total) => terminal.progress("Receiving", done, total),
        write: (bytes) => writeAll(file.path, bytes, () => {}),
      }),
  );
  file.publish();
}

/**
 * Send a container to another host.
 *
 * @throws {EnrootError} naming the host where it is that which failed
 */
export async function push(
  context: Context,
  config: Config,
  store: Store,
  { name, uri, replace, signal }: {
    readonly name: ContainerName;
    readonly uri: ZfsUri;
    readonly replace: boolean;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { terminal } = context;
  const { parts } = zfsStoreOf(store);
  if (!await store.hasContainer(name)) throw noSuchContainer(name);
  const task: RemoteTask = { does: "receive", name: uri.name ?? name, replace };
  await converse(
    context,
    config,
    uri,
    task,
    signal,
    (channel) =>
      sendContainer(channel, parts, name, {
        signal,
        onProgress: (done, total) => terminal.progress("Sending", done, total),
        onWait: (holder) =>
          terminal.log("info", `${hostOf(uri)}: waiting for ${holder}, which receives the same`),
      }),
  );
}

/** Connect, have both ends do their part, and say how it went. */
async function converse(
  { terminal }: Context,
  config: Config,
  uri: ZfsUri,
  task: RemoteTask,
  signal: AbortSignal,
  work: (channel: Channel) => Promise<TransferSummary | void>,
): Promise<void> {
  const host = hostOf(uri);
  await using connection = connect(uri, task, {
    connectTimeout: config.connectTimeoutSeconds,
    signal,
  });
  const channel = new Channel(connection);
  let isHeard = false;
  try {
    await hearHello(channel);
    isHeard = true;
    using _alive = channel.keepAlive();
    const summary = await work(channel);
    await connection.finish();
    terminal.finish();
    if (summary !== undefined) terminal.log("info", describe(summary, task, host));
  } catch (error) {
    terminal.finish();
    signal.throwIfAborted();
    if (error instanceof CutError) {
      const why = error instanceof SilentError ? error : await connection.failure();
      throw isHeard ? cutOff(why, host) : why;
    }
    if (error instanceof RemoteError) {
      throw new EnrootError(error.code, `${host}: ${error.message}`, { cause: error });
    }
    // The other end keeps nothing for a transfer that cannot be gone on with.
    if (error instanceof EnrootError) await sayFailure(channel, error.message);
    throw error;
  }
}

function cutOff(why: EnrootError, host: string): EnrootError {
  return new EnrootError(
    "cut",
    `the connection to ${host} ended before all was transferred: run the command again, and it goes ` +
      `on where it was (${why.message})`,
    { cause: why },
  );
}

function describe(
  { bytes, isIncremental, isResumed }: TransferSummary,
  { does }: RemoteTask,
  host: string,
): string {
  const how = [
    ...(isResumed ? ["went on where it was cut"] : []),
    ...(isIncremental ? ["only what differs from its template"] : []),
  ].join(", ");
  const direction = does === "send" ? "Received" : "Sent";
  const where = does === "send" ? "from" : "to";
  return `${direction} ${formatBytes(bytes)} ${where} ${host}${how === "" ? "" : ` (${how})`}`;
}
