/**
 * A virtual machine for one job: its root file system is this machine's own, with what is written
 * kept in memory, and it has OpenZFS with a pool.
 *
 * @module
 */

import { type Accelerator, acceleratorFor } from "./accelerator.ts";
import { Child } from "./child.ts";
import type { VmImage } from "./image.ts";
import { writeInitramfs } from "./initramfs.ts";
import { Scratch } from "./scratch.ts";

/** What to do in the machine, see {@linkcode runInVm}. */
export interface Job {
  /** The program and its arguments. */
  readonly argv: readonly string[];
  /** The folder to run it in. */
  readonly cwd: string;
  /** Variables on top of the plain environment of root. */
  readonly env: Readonly<Record<string, string>>;
  /** Folders in /tmp, /run or /dev that must be there too; the rest of those is the machine's own. */
  readonly keep: readonly string[];
  /** What the program leaves in the folder `$ENROOT_VM_RESULTS` is in this one, at once. */
  readonly results: string;
  /** For how many seconds it may run; then the machine is killed. */
  readonly limit: number;
  /** Kills the machine. */
  readonly signal: AbortSignal;
  /** Takes what the program prints, as it comes. */
  readonly stdout: (bytes: Uint8Array) => Promise<void>;
  /** Takes what it prints to stderr. */
  readonly stderr: (bytes: Uint8Array) => Promise<void>;
}

/** How a job ended. */
export interface Ending {
  /** The program's exit code; `undefined` when the machine ended first. */
  readonly code: number | undefined;
  /** Whether the machine was killed: it took too long to start, or the program to end. */
  readonly overdue: boolean;
  /** The end of what it printed on its console, and what its emulator said. */
  readonly console: string;
}

/** The value of `ENROOT_VM_RESULTS`, the folder in the machine that is {@linkcode Job.results} here. */
export const resultsInside = "/run/zenroot-vm/results";

const virtiofsd = "/usr/lib/qemu/virtiofsd";
const tags = ["host", "results"] as const;
const ports = ["out", "err", "control"] as const;
const guest = new URL("guest/", import.meta.url);
const consoleLines = 80;
/** How long a machine may take for starting; emulated on two busy cores it is half a minute. */
const bootLimit = 180_000;
/** How long a machine that will be killed has for showing what it does, in milliseconds. */
const lastWords = 5000;

/**
 * Boot a machine, run a job in it, and turn it off.
 *
 * It has a pool `tank`, mounted nowhere, with a dataset that `$ENROOT_TEST_POOL` names. Nothing that
 * is started or made here is left when this ends, even by `kill -9`.
 *
 * @throws {Error} when the machine cannot be started
 * @throws the signal's reason
 */
export async function runInVm(image: VmImage, job: Job): Promise<Ending> {
  job.signal.throwIfAborted();
  await using stack = new AsyncDisposableStack();
  const scratch = stack.use(
    await Scratch.make((path) => tags.map((tag) => pidFile(`${path}/${tag}`))),
  );
  const folder = scratch.path;
  await writeJob(folder, image, job);

  const listeners = ports.map((name) =>
    stack.use(Deno.listen({ transport: "unix", path: `${folder}/${name}` }))
  );
  for (const tag of tags) {
    const source = tag === "host" ? "/" : job.results;
    const server = stack.use(
      new Child([
        ...[virtiofsd, `--socket-path=${folder}/${tag}`, "-o", "sandbox=chroot", "-o", "xattr"],
        // Commas separate options, and the value may hold any character after a backslash.
        ...["-o", "cache=always", "-o", `source=${source.replaceAll(/[\\,]/g, "\\$&")}`],
      ]),
    );
    await server.first(appears(`${folder}/${tag}`, job.signal));
  }
  const machine = stack.use(
    new Child(machineArgv(folder, image, await acceleratorFor(image.kernel))),
  );
  const [out, err, control] = await machine.first(
    Promise.all(listeners.map(async (listener) => stack.use(await listener.accept()))),
  );
  if (out === undefined || err === undefined || control === undefined) throw new Error("no ports");

  const ready = Promise.withResolvers<void>();
  const told = Promise.withResolvers<void>();
  let code: number | undefined;
  const relayed = Promise.all([
    relay(out, job.stdout),
    relay(err, job.stderr),
    readLines(control, (line) => {
      const [, digits] = /^exit (\d+)$/.exec(line) ?? [];
      if (digits !== undefined) code = Number(digits);
      if (line === "ready") ready.resolve();
      if (line === "told") told.resolve();
    }),
  ]);
  // When it is killed its connections break, and nobody waits for them any more.
  relayed.catch(() => {});
  const ended = Promise.all([machine.ended, relayed]);

  const { signal } = job;
  const stuck = await isReached(bootLimit, Promise.race([ready.promise, ended]), signal);
  const overdue = stuck || await isReached(job.limit * 1000, ended, signal);
  if (overdue) {
    await control.write(new TextEncoder().encode("state\n")).catch(() => {});
    await isReached(lastWords, Promise.race([told.promise, ended]), signal);
  }
  return { code, overdue, console: `${await tail(`${folder}/console`)}\n${machine.said}`.trim() };
}

/** Wait for something, but not for longer than a time. @returns whether the time was over first */
async function isReached(
  milliseconds: number,
  awaited: Promise<unknown>,
  signal: AbortSignal,
): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(true), milliseconds);
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  try {
    return await Promise.race([awaited.then(() => false), promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}

/** Write the machine's first file system, with the job in it. */
async function writeJob(folder: string, { base }: VmImage, job: Job): Promise<void> {
  const tree = `${folder}/job`;
  await Deno.mkdir(`${tree}/job`, { recursive: true });
  await Deno.copyFile(new URL("init", guest), `${tree}/init`);
  await Deno.chmod(`${tree}/init`, 0o755);
  await Deno.copyFile(new URL("run", guest), `${tree}/job/run`);
  const lists = {
    argv: job.argv,
    env: Object.entries(job.env).map(([name, value]) => `${name}=${value}`),
    place: [job.cwd, Deno.execPath()],
  };
  for (const [name, words] of Object.entries(lists)) {
    await Deno.writeTextFile(`${tree}/job/${name}`, words.map((word) => `${word}\0`).join(""));
  }
  const covered = job.keep.filter((path) => /^\/(tmp|run|dev)\//.test(path));
  await Deno.writeTextFile(`${tree}/job/keep`, covered.map((path) => `${path}\n`).join(""));
  await writeInitramfs(`${folder}/initramfs`, base, tree);
}

function machineArgv(
  folder: string,
  { kernel }: VmImage,
  accelerator: Accelerator,
): string[] {
  const memory = "6G";
  return [
    ...["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"],
    ...[...accelerator.options, "-cpu", "max", "-smp", "2"],
    // Shares are served out of the machine's memory.
    ...["-m", memory, "-object", `memory-backend-memfd,id=memory,size=${memory},share=on`],
    ...["-numa", "node,memdev=memory"],
    ...tags.flatMap((tag) => [
      ...["-chardev", `socket,id=${tag},path=${folder}/${tag}`],
      ...["-device", `vhost-user-fs-pci,chardev=${tag},tag=${tag}`],
    ]),
    ...["-device", "virtio-serial-pci"],
    ...ports.flatMap((name) => [
      ...["-chardev", `socket,id=${name},path=${folder}/${name}`],
      ...["-device", `virtserialport,chardev=${name},name=${name}`],
    ]),
    ...["-serial", `file:${folder}/console`],
    ...["-kernel", kernel, "-initrd", `${folder}/initramfs`],
    // A panic is the end: without a wait, and the machine does not start again.
    ...[
      "-append",
      ["console=ttyS0 panic=-1 mitigations=off", ...accelerator.kernel].join(" "),
    ],
  ];
}

/** Where virtiofsd leaves its process ID, without a way to tell it another place. */
function pidFile(socket: string): string {
  return `/run/virtiofsd/${socket.replaceAll("/", ".")}.pid`;
}

async function relay(from: Deno.Conn, to: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  const buffer = new Uint8Array(65536);
  for (let size; (size = await from.read(buffer)) !== null;) await to(buffer.subarray(0, size));
}

async function readLines(from: Deno.Conn, take: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  await relay(from, (bytes) => {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(take);
    return Promise.resolve();
  });
}

/** Wait for a program to make its socket. */
async function appears(path: string, signal: AbortSignal): Promise<void> {
  for (const end = Date.now() + 10_000; Date.now() < end;) {
    signal.throwIfAborted();
    if (await Deno.lstat(path).then(() => true, () => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${path} has not appeared within 10 s`);
}

async function tail(path: string): Promise<string> {
  const lines = (await Deno.readTextFile(path).catch(() => "")).replaceAll("\r", "").trimEnd()
    .split("\n");
  return lines.slice(-consoleLines).join("\n");
}
