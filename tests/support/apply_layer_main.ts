/**
 * Applies one layer in a process of its own, for a caller or with limits that a test is not itself:
 * `apply_layer_main.ts ROOT FILE OWNERSHIP`, the file a plain tar. It prints the summary, or how it
 * failed, as JSON.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { EnrootError } from "../../lib/errors.ts";
import { applyLayer } from "../../lib/layer/apply_layer.ts";
import { parseDiffId } from "../../lib/oci/digest.ts";

const [root = "", path = "", ownership] = Deno.args;
const tar = Deno.readFileSync(path);
try {
  const summary = await applyLayer({
    kind: "apply-layer",
    id: 0,
    root,
    name: "layer 1",
    file: { path, offset: 0, size: tar.length },
    compression: "none",
    diffId: parseDiffId(`sha256:${createHash("sha256").update(tar).digest("hex")}`),
    ownership: ownership === "numeric" ? "numeric" : "caller",
    limits: {},
    cancelled: new SharedArrayBuffer(4),
  }, () => {});
  console.log(JSON.stringify({ summary }));
} catch (error) {
  if (!(error instanceof EnrootError)) throw error;
  console.log(JSON.stringify({ code: error.code, message: error.message }));
}
