/**
 * What a command on ZFS costs: the programs that it starts and the files that it opens.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { ZfsBed } from "./zfs_bed.ts";

/** What a command started and opened. */
export interface Trace {
  /** Each run of the program `zfs`, by its arguments. */
  readonly zfs: readonly string[];
  /** Paths of opened files. */
  readonly opened: readonly string[];
}

/** Run `enroot` and watch it: every program it executes, every file it opens. */
export async function trace(store: ZfsBed, args: readonly string[]): Promise<Trace> {
  const { bed } = store;
  const log = `${bed.temp}/trace`;
  const { code, stderr } = await bed.run(
    [
      "strace",
      "-f",
      "--seccomp-bpf",
      ...["-qq", "-s", "1000"],
      "-e",
      "trace=execve,openat",
      "-o",
      log,
      bed.executable,
      ...args,
    ],
    { env: store.env },
  );
  assertEquals(code, 0, stderr);
  const lines = (await Deno.readTextFile(log)).split("\n");
  // Of two that are executed at the same moment the first has its result on a line of its own.
  const ran = /execve\("[^"]*\/zfs", \[(.*)\], .*(?: = 0| <unfinished \.\.\.>)$/;
  return {
    zfs: lines.flatMap((line) => ran.exec(line)?.[1] ?? []).sort(),
    opened: lines.flatMap((line) => /openat\([^"]*"([^"]*)".* = \d+$/.exec(line)?.[1] ?? []),
  };
}
