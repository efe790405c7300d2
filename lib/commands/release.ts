/**
 * The end of `enroot start IMAGE`, which only the watcher calls.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { ZfsStore } from "../storage/zfs/zfs_store.ts";
import type { Command } from "./command.ts";

/** Destroys the throw-away container that it is named, and does what keeps the store small. */
export const command: Command = {
  usage: "internal-release DATA-PATH ID WARM-SECONDS THRESHOLD\n",
  async run({ args: [dataPath, id, ...policy], terminal }) {
    const [warmSeconds = NaN, threshold = NaN, ...more] = policy.map(Number);
    if (
      dataPath === undefined || id === undefined || more.length > 0 ||
      !/^[0-9a-f-]{36}$/.test(id) ||
      Number.isNaN(warmSeconds) || Number.isNaN(threshold)
    ) {
      throw new UsageError("'internal-release' is not for users");
    }
    const warn = (message: string): void => terminal.log("warning", message);
    const store = new ZfsStore(dataPath, { warn, warmSeconds, threshold });
    await store.releaseEphemeral(id);
    await store.maintain();
    return 0;
  },
};
