/**
 * `enroot check`
 *
 * @module
 */

import { checkFolders } from "../check/folders.ts";
import { fail, type Finding } from "../check/finding.ts";
import { checkKernel, checkOverlay, checkUserNamespaces } from "../check/kernel.ts";
import { checkFuse, checkPrograms } from "../check/programs.ts";
import { checkRegistry } from "../check/registry.ts";
import { checkSettings, setKeys } from "../check/settings.ts";
import { checkZfs } from "../check/zfs.ts";
import type { Config } from "../config/config.ts";
import { EnrootError, UsageError } from "../errors.ts";
import type { Command, Context } from "./command.ts";
import { parseOptions } from "./options.ts";
import { configOf } from "./store.ts";

/** Looks at everything that this machine must have for the other commands to work. */
export const command: Command = {
  usage: `check [--registry HOST] [--json]

Look at what this machine must have for the other commands: one line each, with what to
do where something is missing. Exit code 1 when a command cannot work.

      --registry HOST  see whether this registry can be reached, too
      --json           as JSON
`,
  async run(context) {
    const options = parseOptions(context.args, {
      lists: { registry: undefined },
      flags: { json: undefined },
    });
    if (options.operands.length > 0) {
      throw new UsageError(`'check' takes no arguments: '${options.operands[0]}'`);
    }
    const findings = await look(context, options.list("registry"));
    const isGood = findings.every(({ status }) => status !== "fail");
    context.print(
      options.flag("json")
        ? `${JSON.stringify({ ok: isGood, checks: findings }, null, 2)}\n`
        : findings.map(line).join(""),
    );
    return isGood ? 0 : 1;
  },
};

async function look(context: Context, registries: readonly string[]): Promise<Finding[]> {
  let config: Config;
  try {
    config = await configOf(context);
  } catch (error) {
    if (!(error instanceof EnrootError)) throw error;
    // Without a configuration it is not known where to look.
    return [
      checkKernel(false),
      fail("configuration", error.message, "correct it, and check again"),
    ];
  }
  const isZfs = config.storageBackend === "zfs";
  return [
    checkKernel(isZfs && Deno.uid() !== 0),
    ...await checkNamespaces(config),
    ...checkPrograms(config.storageBackend),
    ...(isZfs ? [] : [checkFuse()]),
    ...checkFolders(config),
    ...(isZfs ? await checkStore(config) : []),
    ...checkSettings(setKeys(config.sysconfPath, context.environment)),
    ...await Promise.all(registries.map((host) => checkRegistry(host, config))),
  ];
}

async function checkNamespaces(config: Config): Promise<Finding[]> {
  const found = await checkUserNamespaces();
  // Nothing is to be learnt of an overlay where there is no namespace to make it in.
  if (config.storageBackend === "zfs" || found.status === "fail") return [found];
  return [found, await checkOverlay(config.nativeOverlayfs)];
}

async function checkStore({ dataPath, templateStore }: Config): Promise<Finding[]> {
  return await checkZfs(dataPath, Deno.uid() ?? 0, templateStore);
}

/** A finding as a line, and one more for what to do. */
export function line({ name, status, detail, remedy }: Finding): string {
  // What a program or a file said may hold anything, and a terminal may obey it.
  const safe = (text: string): string => text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?");
  const what = `${status.padEnd(4)}  ${safe(name)}: ${safe(detail)}`;
  return remedy === undefined ? `${what}\n` : `${what}\n      → ${safe(remedy)}\n`;
}
