/**
 * The worker that applies layers, one at a time.
 *
 * @module
 */

import { applyLayer } from "../lib/layer/apply_layer.ts";
import { encodeError } from "../lib/pool/errors.ts";
import type { Reply, Request } from "../lib/pool/protocol.ts";

/** Progress is told in steps of this many bytes. */
const step = 1 << 20;

declare const self: {
  onmessage: ((event: MessageEvent<Request>) => void) | null;
  postMessage(reply: Reply): void;
};

self.onmessage = async ({ data: request }) => {
  const { id } = request;
  let untold = 0;
  const tell = (): void => {
    if (untold > 0) self.postMessage({ kind: "progress", id, bytes: untold } satisfies Reply);
    untold = 0;
  };
  try {
    const summary = await applyLayer(request, (bytes) => {
      untold += bytes;
      if (untold >= step) tell();
    });
    tell();
    self.postMessage({ kind: "applied", id, summary } satisfies Reply);
  } catch (error) {
    self.postMessage({ kind: "failed", id, error: encodeError(error) } satisfies Reply);
  }
};

const thread = Deno.readLinkSync("/proc/thread-self");
self.postMessage({ kind: "ready", thread } satisfies Reply);
