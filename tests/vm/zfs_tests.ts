/**
 * The tests that need OpenZFS, in tests/zfs: in the virtual machine, or where `ENROOT_TEST_POOL` says.
 *
 * @module
 */

import { cachedSampleImage } from "../support/cached_sample.ts";
import { run } from "../support/command.ts";
import { type Count, countReport, testArguments, total } from "../support/test_run.ts";
import { resultsInside } from "./boot.ts";
import { reportOf } from "./run_files.ts";
import { runHere } from "./run_here.ts";
import { Scratch } from "./scratch.ts";

const top = new URL("../../", import.meta.url).pathname.replace(/\/$/, "");
const folder = "tests/zfs";
/** They measure, and the machine may be emulated. In seconds. */
const limit = 4200;

/** How many files of tests are run at once: as many as the machine has processors. */
const jobs = 2;

/**
 * Run them; what they drive must be built. What they print is printed here. With `ENROOT_TEST_ALL_USERS`
 * also those as root that take long, which are the same as a plain user.
 *
 * @param extra arguments for `deno test`; when there are files among them, only those are run
 */
export async function runZfsTests(extra: readonly string[] = []): Promise<Count> {
  await using scratch = await Scratch.make();
  const results = scratch.path;
  const named = extra.some((each) => each.endsWith("_test.ts"));
  const users = Deno.env.has("ENROOT_TEST_ALL_USERS") ? ["--", "all-users"] : [];
  const rest = [...extra, ...named ? [] : [folder], ...users];
  const report = `${results}/report.xml`;
  if (Deno.env.has("ENROOT_TEST_POOL")) {
    // The helper reads the system's configuration, and nothing else: the tests have one of their own.
    const [program = "", ...args] = [
      ...["unshare", "--mount", "--propagation", "private", "sh", "-euc"],
      'mkdir -p /etc/enroot; mount -t tmpfs -o mode=755 tmpfs /etc/enroot; exec "$@"',
      ...["sh", Deno.execPath(), ...testArguments(report), ...rest],
    ];
    const { code } = await new Deno.Command(program, {
      args,
      cwd: top,
      stdin: "null",
    }).spawn().status;
    return await countReport(report, code);
  }
  // In the machine it would take minutes.
  await cachedSampleImage();
  // There is no network in the machine for what they import.
  await run([Deno.execPath(), "cache", "--quiet", ...await files()], { cwd: top });
  if (extra.length === 0) return await runAll(results, users);
  const inside = testArguments(`${resultsInside}/report.xml`);
  const code = await runHere(["deno", ...inside, ...rest], { results, limit });
  return await countReport(report, code);
}

/** Run all of them, in one machine. */
async function runAll(results: string, args: readonly string[]): Promise<Count> {
  const all = await files();
  const runner = ["run", "-A", "--no-check", "tests/vm/run_files.ts"];
  const argv = ["deno", ...runner, resultsInside, String(jobs), ...all, ...args];
  const ending = await runHere(argv, { results, limit });
  const counts = all.map(async (file) => {
    const { report, code } = reportOf(results, file);
    const text = await Deno.readTextFile(code).catch(() => undefined);
    if (text !== undefined) return await countReport(report, Number(text));
    return { passed: 0, failed: 1, failures: [`${file}: it did not end: ${ending}`] };
  });
  return total(await Promise.all(counts));
}

/** All files of tests, those with the most in them first: so none is left to the last. */
async function files(): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(`${top}/${folder}`));
  const names = entries.map(({ name }) => `${folder}/${name}`).filter((name) =>
    name.endsWith("_test.ts")
  );
  const size = (name: string): number => Deno.statSync(`${top}/${name}`).size;
  return names.toSorted((a, b) => size(b) - size(a));
}
