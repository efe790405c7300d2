/**
 * The program's source and the runtime where every user can read them: a checkout may be in a folder
 * that only root can enter.
 *
 * @module
 */

import { run } from "./command.ts";

const top = new URL("../../", import.meta.url).pathname;

/** Where they are. */
export interface ReadableTree {
  /** The runtime. */
  readonly deno: string;
  /** The folder that has `lib`, `tests` and `deno.json` in it. */
  readonly path: string;
}

let tree: Promise<ReadableTree> | undefined;

/** The copy, made when it is first asked for, and removed when this process ends. */
export function readableTree(): Promise<ReadableTree> {
  tree ??= copy();
  return tree;
}

async function copy(): Promise<ReadableTree> {
  const path = await Deno.makeTempDir({ prefix: "zenroot-tree-" });
  globalThis.addEventListener("unload", () => Deno.removeSync(path, { recursive: true }));
  await run(["cp", "-r", ...["lib", "tests", "deno.json"].map((name) => `${top}${name}`), path]);
  const deno = `${path}/deno`;
  await Deno.copyFile(Deno.execPath(), deno);
  await run(["chmod", "-R", "a+rX", path]);
  await Deno.chmod(deno, 0o755);
  return { deno, path };
}
