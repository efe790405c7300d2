/**
 * `enroot install-helper`
 *
 * @module
 */

import { EnrootError, UsageError } from "../errors.ts";
import { builtIn } from "../process/assets.ts";
import { callerState } from "../process/caller.ts";
import { createPartialFile } from "../storage/partial_file.ts";
import { grantCapability } from "../sys/capability.ts";
import type { Command } from "./command.ts";
import { parseOptions } from "./options.ts";
import { absolute } from "./paths.ts";

const helper = "enroot-zfs-mount";

/** Installs the one program that needs a capability, where only this single file was copied. */
export const command: Command = {
  usage: `install-helper [FOLDER]

Install enroot-zfs-mount, which lets plain users mount the containers of their own ZFS
stores, and give it the capability that this takes. For administrators: run it as root.

  FOLDER  the folder that the enroot executable of the users is in (default: this one's)
`,
  async run(context) {
    const options = parseOptions(context.args, {});
    const [operand, ...more] = options.operands;
    if (more.length > 0) throw new UsageError(`'install-helper' takes one folder: '${more[0]}'`);
    const { executable } = callerState();
    const folder = operand === undefined
      ? executable?.slice(0, executable.lastIndexOf("/"))
      : absolute(operand);
    if (folder === undefined) throw new UsageError("'install-helper' needs a folder");
    if (Deno.uid() !== 0) {
      throw new EnrootError(
        "not-root",
        `only root can give ${helper} its capability: run 'enroot install-helper ${folder}' as root`,
      );
    }
    const path = `${folder}/${helper}`;
    using file = createPartialFile(path, { replace: true });
    await Deno.copyFile(builtIn(helper), file.path);
    await Deno.chmod(file.path, 0o755);
    grantCapability(file.path, "CAP_SYS_ADMIN");
    file.publish();
    context.terminal.log("info", `Installed ${path}`);
    return 0;
  },
};
