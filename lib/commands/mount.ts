/**
 * `enroot-mount`, for hooks: the program under that name.
 *
 * @module
 */

import { EnrootError, reasonOf, UsageError } from "../errors.ts";
import { parseFstab } from "../runtime/fstab.ts";
import { inOrder } from "../runtime/mount_order.ts";
import { mountEntry } from "../runtime/mounts.ts";
import { readText } from "../runtime/start.ts";
import { Rootfs } from "../sys/rootfs.ts";
import type { Command } from "./command.ts";
import { parseOptions } from "./options.ts";
import { absolute } from "./paths.ts";

/** Mounts what lines of fstab say. */
export const command: Command = {
  usage: `internal-mount [--root DIR] [--pass N] FILE|-…
       enroot-mount [--root DIR] [--pass N] FILE|-…

Mount what files of fstab lines say, or with - standard input: for hooks. \${NAME} in
a line stands for a variable of the environment.

      --root DIR  targets are in DIR, and symlinks do not lead out of it (default: /)
      --pass N    only lines of this pass (default: all, in the order of their passes)
`,
  async run({ args, environment, terminal }) {
    const options = parseOptions(args, { values: { root: undefined, pass: undefined } });
    const files = options.operands;
    if (files.length === 0) throw new UsageError("'enroot-mount' needs a file, or - for its input");
    const pass = options.value("pass");
    if (pass !== undefined && !/^-?\d{1,9}$/.test(pass)) {
      throw new UsageError(`the pass '${pass}' is no number`);
    }
    const entries = [];
    for (const file of files) {
      const text = file === "-" ? await readInput() : readText(absolute(file));
      entries.push(...parseFstab(text, environment, file === "-" ? "standard input" : file));
    }
    using rootfs = new Rootfs(absolute(options.value("root") ?? "/"));
    for (const entry of inOrder(entries)) {
      if (pass !== undefined && entry.pass !== Number(pass)) continue;
      mountEntry({ rootfs, sources: rootfs }, entry, (message) => terminal.log("warning", message));
    }
    return 0;
  },
};

async function readInput(): Promise<string> {
  try {
    return await new Response(Deno.stdin.readable).text();
  } catch (error) {
    throw new EnrootError("cannot-read", `cannot read standard input: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}
