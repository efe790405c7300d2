/**
 * Files of tests, several at once: `run_files.ts REPORTS JOBS FILE… [-- ARG…]`. Each file is a run of its own,
 * with processes, mounts and an `/etc/enroot` that the others do not see. The emulated machine has two
 * processors, and one file of tests mostly keeps one of them busy.
 *
 * For each file there is a JUnit report in the folder REPORTS, and its exit code: see {@linkcode reportOf}.
 *
 * @module
 */

/** Where the report of a file is, and its exit code, which is there when the run has ended. */
export function reportOf(reports: string, file: string): { report: string; code: string } {
  const name = file.replace(/^.*\//, "").replace(/\.ts$/, "");
  return { report: `${reports}/${name}.xml`, code: `${reports}/${name}.code` };
}

/** Everything that a test may look at, or leave behind, is its own. */
const apart = [
  ...["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--propagation", "private"],
  ...["sh", "-euc", 'mount -t tmpfs -o mode=755 tmpfs /etc/enroot; "$@"; exit', "sh"],
];

if (import.meta.main) {
  const [reports = "", jobs = "", ...rest] = Deno.args;
  const end = rest.indexOf("--");
  const files = end < 0 ? rest : rest.slice(0, end);
  const args = end < 0 ? [] : rest.slice(end);
  await Deno.mkdir("/etc/enroot", { recursive: true });
  let worst = 0;
  const next = files.values();
  const work = async (): Promise<void> => {
    for (const file of next) worst = Math.max(worst, await runFile(file, reports, args));
  };
  await Promise.all(Array.from({ length: Number(jobs) }, work));
  Deno.exit(worst);
}

async function runFile(file: string, reports: string, args: readonly string[]): Promise<number> {
  const { report, code: codeFile } = reportOf(reports, file);
  const [program = "", ...before] = apart;
  const test = [Deno.execPath(), "test", "-A", "--no-check", `--junit-path=${report}`, file];
  const child = new Deno.Command(program, {
    args: [...before, ...test, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const name = file.replace(/^.*\//, "").replace(/_test\.ts$/, "");
  await Promise.all([child.stdout, child.stderr].map((stream) => print(stream, name)));
  const { code } = await child.status;
  await Deno.writeTextFile(codeFile, String(code));
  return code;
}

/** Whole lines, so that those of two runs do not mix, each with whose it is. */
async function print(stream: ReadableStream<Uint8Array<ArrayBuffer>>, name: string): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) console.log(`${name}: ${line}`);
  }
  if (rest !== "") console.log(`${name}: ${rest}`);
}
