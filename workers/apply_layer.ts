/**
 * The worker that applies layers, or inflates them for another that does: one at a time.
 *
 * @module
 */

import { applyLayer } from "../lib/layer/apply_layer.ts";
import { inflateLayer } from "../lib/layer/inflate_layer.ts";
import { encodeError } from "../lib/pool/errors.ts";
import type { Answer, ApplyLayer, LayerSummary, Reply, Request } from "../lib/pool/protocol.ts";

/** Progress is told in steps of this many bytes. */
const step = 1 << 20;

declare const self: {
  onmessage: ((event: MessageEvent<Request>) => void) | null;
  postMessage(reply: Reply): void;
};

self.onmessage = async ({ data: request }) => {
  const { id } = request;
  try {
    self.postMessage(await answer(request) satisfies Reply);
  } catch (error) {
    self.postMessage({ kind: "failed", id, error: encodeError(error) } satisfies Reply);
  }
};

async function answer(request: Request): Promise<Answer> {
  switch (request.kind) {
    case "apply-layer":
      return { kind: "applied", id: request.id, summary: await apply(request) };
    case "inflate-layer":
      await inflateLayer(request);
      return { kind: "inflated", id: request.id };
    default:
      return request satisfies never;
  }
}

async function apply(request: ApplyLayer): Promise<LayerSummary> {
  const { id } = request;
  let untold = 0;
  const tell = (): void => {
    if (untold > 0) self.postMessage({ kind: "progress", id, bytes: untold } satisfies Reply);
    untold = 0;
  };
  const summary = await applyLayer(request, (bytes) => {
    untold += bytes;
    if (untold >= step) tell();
  });
  tell();
  return summary;
}

const thread = Deno.readLinkSync("/proc/thread-self");
self.postMessage({ kind: "ready", thread } satisfies Reply);
