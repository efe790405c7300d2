/**
 * One layer, from its stored bytes to the root folder, checked on the way.
 *
 * @module
 */

import { Handover } from "../pool/handover.ts";
import type { ApplyLayer, LayerSummary } from "../pool/protocol.ts";
import { readRing } from "../pool/ring.ts";
import { close } from "../sys/at.ts";
import { TarReader } from "../tar/reader.ts";
import { Applier } from "./applier.ts";
import { finishFile } from "./finish_file.ts";
import { Guard } from "./guard.ts";
import { Metadata } from "./metadata.ts";
import { explained, inflaterSums, readLayer, TarSum } from "./read_layer.ts";

/**
 * Apply a layer.
 *
 * Both digests of every byte are checked, those behind the end of the archive too. Until this has
 * succeeded, and with a ring the thread that fills it as well, the root folder holds unchecked content
 * and must not be used. With a ring it blocks the thread whenever that other one is behind.
 *
 * @param request what to apply where
 * @param onProgress told how many more stored bytes were read
 * @throws {EnrootError} naming the layer, the entry and the reason; code `cancelled` when its word was
 * set
 */
export async function applyLayer(
  request: ApplyLayer,
  onProgress: (bytes: number) => void,
): Promise<LayerSummary> {
  const { ring, compression } = request;
  const guard = new Guard(request);
  const metadata = new Metadata(request.ownership === "numeric", Deno.uid() === 0);
  using handover = ring === undefined
    ? undefined
    : new Handover(ring, guard.check, finishFile, close);
  using applier = new Applier(request.root, metadata, guard, handover);
  const reader = new TarReader(applier);
  const onStored = (bytes: number): void => {
    guard.stored(bytes);
    onProgress(bytes);
  };
  const take = (bytes: Uint8Array<ArrayBuffer>): void => {
    guard.tar(bytes.length);
    reader.write(bytes);
  };

  const { check } = guard;
  await explained(request, check, async () => {
    const onEnd = (): void => reader.end();
    if (ring === undefined) {
      return await readLayer(request, { onStored, check, take, onEnd, sum: new TarSum(request) });
    }
    const sum = inflaterSums(compression) ? undefined : new TarSum(request);
    for (const { bytes, stored } of readRing(ring, check)) {
      onStored(stored);
      sum?.add(bytes);
      take(bytes);
    }
    onEnd();
    sum?.check();
    handover?.settle();
  });
  applier.finish();
  return {
    entries: applier.entries,
    tarSize: guard.tarSize,
    skippedDevices: applier.skippedDevices,
    skippedXattrs: metadata.skippedXattrs,
  };
}
