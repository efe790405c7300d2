/**
 * The end of `enroot start IMAGE`, which only the watcher calls.
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { ZfsStore } from "../storage/zfs/zfs_store.ts";
import type { Command } from "./command.ts";

/** Destroys the throw-away container that it is named. */
export const command: Command = {
  usage: "internal-release DATA-PATH ID\n",
  async run({ args: [dataPath, id, ...more], terminal }) {
    if (
      dataPath === undefined || id === undefined || more.length > 0 || !/^[0-9a-f-]{36}$/.test(id)
    ) {
      throw new UsageError("'internal-release' is not for users");
    }
    const store = new ZfsStore(dataPath, { warn: (message) => terminal.log("warning", message) });
    await store.releaseEphemeral(id);
    return 0;
  },
};
