/**
 * The half of a layer's work that makes a tar of its stored bytes, for a thread that does nothing else.
 *
 * @module
 */

import { Handover } from "../pool/handover.ts";
import type { InflateLayer } from "../pool/protocol.ts";
import { RingWriter } from "../pool/ring.ts";
import { close } from "../sys/at.ts";
import { finishFile } from "./finish_file.ts";
import { Guard } from "./guard.ts";
import { explained, inflaterSums, readLayer, TarSum } from "./read_layer.ts";

/**
 * Inflate a layer into its ring. While there is no room in that it completes files for whoever reads it.
 *
 * The digest is checked, and the diff ID too unless who reads the ring does: the ring only ends when
 * they were right. It blocks the thread whenever the reader is behind.
 *
 * @throws {EnrootError} naming the layer and the reason; code `cancelled` when its word was set
 */
export async function inflateLayer(request: InflateLayer): Promise<void> {
  // Bounds are judged where the archive's own sizes are known.
  const { check } = new Guard({ ...request, limits: {} });
  using handover = new Handover(request.ring, check, finishFile, close);
  const writer = new RingWriter(request.ring, check, handover.finishOne);
  await explained(request, check, () =>
    readLayer(request, {
      check,
      onStored(bytes) {
        check();
        writer.note(bytes);
      },
      take: (bytes) => writer.write(bytes),
      ...(inflaterSums(request.compression) ? { sum: new TarSum(request) } : {}),
    }));
  writer.end();
  writer.workUntilRead();
}
