/**
 * A place to run one default hook in: a made-up root folder, the files that hooks write, and a user and
 * mount namespace of its own, in which devices and kernel files can be made up too.
 *
 * @module
 */

import { attempt, type Result } from "../support/command.ts";

const hooks = new URL("../../packaging/etc/", import.meta.url).pathname;

/** What a hook left. */
export interface HookResult extends Result {
  /** The lines of `ENROOT_MOUNTS`. */
  readonly mounts: readonly string[];
  /** The lines that it added to `ENROOT_ENVIRON`. */
  readonly added: readonly string[];
}

/** How a hook is run. */
export interface HookRun {
  /** Variables beside `PATH` and those of this start. */
  readonly env?: Record<string, string>;
  /** What `ENROOT_ENVIRON` holds. */
  readonly environ?: string;
  /** A text of sh that is run before the hook, in its namespaces; `$top` is the bed's folder. */
  readonly before?: string;
  /** Be root of the user namespace, as with `start --root`; true unless said otherwise. */
  readonly root?: boolean;
}

/** See the module. */
export class HookBed implements AsyncDisposable {
  readonly path = Deno.makeTempDirSync({ prefix: "zenroot-hook-" });

  constructor() {
    for (const name of ["rootfs/etc", "bin", "work"]) {
      Deno.mkdirSync(`${this.path}/${name}`, { recursive: true });
    }
  }

  get rootfs(): string {
    return `${this.path}/rootfs`;
  }

  /** Make a file, and the folders above it. */
  write(path: string, text = "", mode = 0o644): void {
    const whole = `${this.path}/${path}`;
    Deno.mkdirSync(whole.slice(0, whole.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(whole, text);
    Deno.chmodSync(whole, mode);
  }

  /** Make a program that hooks find first. */
  program(name: string, text: string): void {
    this.write(`bin/${name}`, `#!/bin/bash\n${text}\n`, 0o755);
  }

  read(path: string): string {
    return Deno.readTextFileSync(`${this.path}/${path}`);
  }

  /** Run a hook: `hooks.d/NAME` or `hooks.extra.d/NAME`. */
  async run(hook: string, options: HookRun = {}): Promise<HookResult> {
    const { env = {}, environ = "", before = ":", root = true } = options;
    Deno.removeSync(`${this.path}/work`, { recursive: true });
    Deno.mkdirSync(`${this.path}/work`);
    this.write("environ", environ);
    this.write("mounts");
    const user = root ? ["--map-root-user"] : ["--map-current-user"];
    const result = await attempt(
      [
        ...[
          "/usr/bin/unshare",
          ...(root || before !== ":" ? user : ["--user", ...user]),
          "--mount",
        ],
        ...["/bin/sh", "-ec", `top=$1; ${before}; exec "$0"`, `${hooks}${hook}`, this.path],
      ],
      {
        clearEnv: true,
        env: {
          PATH: `${this.path}/bin:/usr/bin:/bin`,
          ENROOT_ROOTFS: this.rootfs,
          ENROOT_ENVIRON: `${this.path}/environ`,
          ENROOT_MOUNTS: `${this.path}/mounts`,
          ENROOT_WORKDIR: `${this.path}/work`,
          ...env,
        },
      },
    );
    const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");
    return {
      ...result,
      mounts: lines(this.read("mounts")),
      added: lines(this.read("environ").slice(environ.length)),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}
