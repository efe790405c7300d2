/**
 * Soaks that need OpenZFS: in the virtual machine, or on the dataset that ENROOT_TEST_POOL names.
 *
 * @module
 */

import { runHere } from "../vm/run_here.ts";

/**
 * Run one of these scripts where OpenZFS is.
 *
 * @param script below the top folder
 * @param limit how long it has, in seconds: the machine may be emulated
 * @param wrong what is said when it fails; why is printed before
 * @returns what was wrong
 */
export async function onZfs(script: string, limit: number, wrong: string): Promise<string[]> {
  const args = ["run", "-A", script];
  const code = Deno.env.has("ENROOT_TEST_POOL")
    ? (await new Deno.Command(Deno.execPath(), { args }).spawn().status).code
    : await runHere(["deno", ...args], { limit });
  return code === 0 ? [] : [wrong];
}
