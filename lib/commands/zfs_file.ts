/**
 * `.zfs` files: containers as `zfs send` streams.
 *
 * @module
 */

import type { Config } from "../config/config.ts";
import { EnrootError } from "../errors.ts";
import { createSha256 } from "../std/node.ts";
import { digestOfFile } from "../storage/file_digest.ts";
import type { ContainerName } from "../storage/container_name.ts";
import type { PartialFile } from "../storage/partial_file.ts";
import type { Store, TemplateReference, TemplateRequest } from "../storage/store.ts";
import { zfsStoreOf } from "../storage/zfs/backend.ts";
import { Incoming } from "../storage/zfs/incoming.ts";
import { openContainer } from "../storage/zfs/outgoing.ts";
import type { Context } from "./command.ts";
import { ownershipOf, templateIdOf } from "./template_id.ts";
import { useTemplate } from "./use_template.ts";

/** Receives streams as the configuration says. */
export function incomingOf(config: Config, store: Store): Incoming {
  const keepsOwners = ownershipOf(config) === "numeric";
  return new Incoming(zfsStoreOf(store).parts, { keepsOwners });
}

/**
 * Use the template of a `.zfs` file. It is hashed, and received unless that was done before.
 *
 * @throws {EnrootError} code `no-zfs`, `bad-stream`, `not-owner`; when it cannot be read
 */
export async function useZfsFile(
  { terminal }: Context,
  config: Config,
  store: Store,
  { path, signal }: { readonly path: string; readonly signal: AbortSignal },
  use: (template: TemplateReference) => Promise<void>,
): Promise<void> {
  const incoming = incomingOf(config, store);
  const digest = await digestOfFile(path, {
    memory: `${config.cachePath}/digests`,
    signal,
    onProgress: (done, total) => terminal.progress("Reading", done, total),
  });
  const request: TemplateRequest = {
    id: templateIdOf(config, digest),
    provenance: {},
    size: Deno.statSync(path).size,
    signal,
    build: () => Promise.reject(new Error("a stream is received")),
    async receive(target) {
      terminal.log("info", `Receiving ${path}`);
      const bytes = bytesOf(
        path,
        digest,
        (done, total) => terminal.progress("Receiving", done, total),
      );
      return { ...await incoming.receiveWhole(target, bytes, signal) };
    },
    onWait: (holder) => terminal.log("info", `Waiting for ${holder}, which receives this file`),
  };
  await useTemplate(() => store.obtainTemplate(request), use);
  terminal.finish();
}

/** The content of a file, which must be what it hashed to before. */
async function* bytesOf(
  path: string,
  digest: string,
  onProgress: (done: number, total: number) => void,
): AsyncGenerator<Uint8Array> {
  using file = await Deno.open(path);
  const { size } = await file.stat();
  const sum = createSha256();
  const piece = new Uint8Array(1 << 18);
  let done = 0;
  for (let length; (length = await file.read(piece)) !== null;) {
    const bytes = piece.slice(0, length);
    sum.update(bytes);
    yield bytes;
    onProgress(done += length, size);
  }
  if (sum.digest("hex") !== digest) {
    throw new EnrootError("cannot-read", `${path} changed while it was read: try again`);
  }
}

/**
 * Write a container, as it is now, to a file.
 *
 * @throws {EnrootError} code `no-zfs`, `not-found`
 */
export async function writeZfsFile(
  { terminal }: Context,
  store: Store,
  { name, file, signal }: {
    readonly name: ContainerName;
    readonly file: PartialFile;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  await using container = await openContainer(zfsStoreOf(store).parts, name, { isForFile: true });
  const { size, open } = await container.whole();
  await using output = await open(signal);
  await writeAll(file.path, output.bytes, (done) => terminal.progress("Writing", done, size));
  file.publish();
}

/** Write bytes into a file that is there. @throws {EnrootError} code `cannot-write` */
export async function writeAll(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  onProgress: (done: number) => void,
): Promise<void> {
  using file = await Deno.open(path, { write: true });
  let done = 0;
  for await (const piece of bytes) {
    for (let at = 0; at < piece.length;) at += await file.write(piece.subarray(at));
    onProgress(done += piece.length);
  }
}
