/**
 * The server of an image with an overlay that is not the kernel's, which only the program itself starts.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { serveOverlay } from "../runtime/image_server.ts";
import type { Command } from "./command.ts";

/** Becomes `fuse-overlayfs`; ends as `squashfuse` when that fails. */
export const command: Command = {
  usage: "internal-serve-overlay SQUASHFUSE FUSE-OVERLAYFS IMAGE FOLDER\n",
  run({ args: [squashfuse, overlay, image, place, ...more], environment }) {
    if (
      squashfuse === undefined || overlay === undefined || image === undefined ||
      place === undefined || more.length > 0
    ) {
      throw new UsageError("'internal-serve-overlay' is not for users");
    }
    return Promise.resolve(serveOverlay([squashfuse, overlay, image, place], environment));
  },
};
