/**
 * `deno task soak [NAME…]`: what takes too long for every change: memory of huge layers, layers
 * of a million entries, chains of many layers, a hundred commands killed, twenty minutes of containers that
 * come and go, a store of a thousand containers, tests on ZFS for every user, what is released
 * for arm64, the bill of materials by its schema, ten minutes of fuzzing.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { run } from "../support/command.ts";
import { ensurePackages, testPackages } from "../support/packages.ts";
import { checkArm64 } from "./arm64.ts";
import { checkBill } from "./bill.ts";
import { checkChain } from "./chain.ts";
import { checkChurn } from "./churn.ts";
import { checkCrash } from "./crash.ts";
import { checkEntries } from "./entries.ts";
import { checkMemory } from "./memory.ts";
import { checkScale } from "./scale.ts";

const top = new URL("../../", import.meta.url).pathname;

/** Each gives what was wrong. */
const soaks: Readonly<Record<string, () => Promise<string[]>>> = {
  memory: checkMemory,
  entries: checkEntries,
  chain: checkChain,
  crash: checkCrash,
  churn: checkChurn,
  scale: checkScale,
  users: checkUsers,
  arm64: checkArm64,
  bill: checkBill,
  fuzz: checkFuzz,
};

const { _: chosen } = parseArgs(Deno.args);
for (const name of chosen) {
  if (Object.hasOwn(soaks, name)) continue;
  console.error(`no soak '${name}': there are ${Object.keys(soaks).join(", ")}`);
  Deno.exit(1);
}
await ensurePackages(testPackages);
for (const task of ["helper", "compile"]) await run([Deno.execPath(), "task", "--quiet", task]);
const wrong: string[] = [];
for (const [name, soak] of Object.entries(soaks)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  console.log(`soak: ${name}`);
  wrong.push(...await soak());
}
for (const text of wrong) console.log(`WRONG: ${text}`);
console.log(`${wrong.length} wrong`);
Deno.exit(wrong.length === 0 ? 0 : 1);

async function checkUsers(): Promise<string[]> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "tests/vm/test_zfs.ts"],
    env: { ENROOT_TEST_ALL_USERS: "y" },
    cwd: top,
  }).spawn().status;
  return success ? [] : ["a test on ZFS failed"];
}

async function checkFuzz(): Promise<string[]> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "tests/fuzz/main.ts", "--seconds", "600"],
    cwd: top,
  }).spawn().status;
  return success ? [] : ["fuzzing found something"];
}
