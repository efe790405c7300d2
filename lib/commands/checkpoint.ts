/**
 * What the launcher has run once after {@linkcode file://./warm.ts}.
 *
 * @module
 */

import type { Command } from "./command.ts";

/** The runtime's databases of what it found out about the program. */
const databases = ["v8_code_cache_v2", "dep_analysis_cache_v2", "node_analysis_cache_v2"];

/**
 * Moves what was written to the runtime's databases from their logs to where it belongs. The runtime never
 * does: every start would read the logs from end to end, which takes longer than it saves.
 */
export const command: Command = {
  usage: "internal-checkpoint FOLDER\n",
  async run({ args: [folder] }) {
    const { DatabaseSync } = await import("node:sqlite");
    for (const name of databases) {
      const database = new DatabaseSync(`${folder}/${name}`);
      database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      database.close();
    }
    return 0;
  },
};
