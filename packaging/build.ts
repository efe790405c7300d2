/**
 * What the makers of packages share: where the checkout is, running programs, times of files.
 *
 * @module
 */

/** The checkout. */
export const top: string = new URL("../", import.meta.url).pathname.replace(/\/$/, "");

/** Machines that packages are made for, by the names of Debian and of RPM. */
export const architectures = {
  amd64: { rpm: "x86_64", machine: "x86_64" },
  arm64: { rpm: "aarch64", machine: "aarch64" },
} as const;

/** A machine that packages are made for. */
export type Architecture = keyof typeof architectures;

/** How to run a program. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Run a program to its end, for what it prints. What could tell one machine from another is set.
 *
 * @throws {Error} with what it said, when it fails
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const [program = "", ...args] = argv;
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args,
    ...options,
    env: { LC_ALL: "C.UTF-8", TZ: "UTC0", ...options.env },
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  if (success) return text(stdout);
  throw new Error(`${argv.join(" ")} failed:\n${text(stdout)}${text(stderr)}`);
}

/** Copy a file, with a mode; the folders that it is in are made. */
export async function place(from: string, to: string, mode: number): Promise<void> {
  await Deno.mkdir(to.slice(0, to.lastIndexOf("/")), { recursive: true });
  await Deno.copyFile(from, to);
  await Deno.chmod(to, mode);
}

/** Give everything in a folder one time, and to folders the mode that they are installed with. */
export async function settle(folder: string, epoch: number): Promise<void> {
  await run(["find", folder, "-type", "d", "-exec", "chmod", "0755", "{}", "+"]);
  await run(["find", folder, "-exec", "touch", "--no-dereference", `--date=@${epoch}`, "{}", "+"]);
}
