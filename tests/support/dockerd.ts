/**
 * A real Docker daemon, on a socket and in folders of its own. It needs root.
 *
 * @module
 */

import { attempt, end, run, spawn } from "./command.ts";

/** A daemon at work. Disposing of it stops it and removes all it has. */
export interface Dockerd extends AsyncDisposable {
  /** What the `docker` command is given to find it. */
  readonly env: Readonly<Record<string, string>>;
  /** Its socket, which only root may use. */
  readonly socket: string;
  /** Run the `docker` command, which must succeed, for what it prints. */
  docker(...args: string[]): Promise<string>;
}

/**
 * How long it may take to come up and to go, in milliseconds. It gives its containerd 15 s and ends
 * when those are not enough, as on a slow and busy machine: then it is started once more.
 */
const patience = 120_000;

/** Start a daemon without a network. @throws {Error} with its log when it does not come up */
export async function startDockerd(): Promise<Dockerd> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "zenroot-docker-" });
  stack.defer(() => removeFolder(folder));
  await Deno.chmod(folder, 0o755);
  await Deno.writeTextFile(`${folder}/daemon.json`, "{}");
  const socket = `${folder}/socket`;
  const env = { DOCKER_HOST: `unix://${socket}`, DOCKER_CONFIG: folder };
  let said = "";
  for (const deadline = Date.now() + patience; Date.now() < deadline;) {
    const daemon = stack.use(new Daemon(folder, socket));
    const why = await daemon.comesUp(env, deadline);
    if (why === undefined) {
      const kept = stack.move();
      return {
        env,
        socket,
        docker: (...args) => run(["docker", ...args], { env }),
        [Symbol.asyncDispose]: () => kept.disposeAsync(),
      };
    }
    said += `${why}\n`;
  }
  throw new Error(`dockerd did not come up:\n${said}`);
}

/** One process of a daemon. */
class Daemon implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<unknown>;
  #log = "";
  #ended = false;

  constructor(folder: string, socket: string) {
    this.#child = spawn([
      ...["dockerd", "--host", `unix://${socket}`, "--pidfile", `${folder}/pid`],
      ...["--data-root", `${folder}/data`, "--exec-root", `${folder}/exec`],
      // What the machine's own daemon is configured to do is not for this one.
      ...["--iptables=false", "--bridge=none", "--config-file", `${folder}/daemon.json`],
    ]);
    const { stdout, stderr, status } = this.#child;
    status.then(() => this.#ended = true);
    this.#read = Promise.all([stdout, stderr].map(async (stream) => {
      for await (const part of stream.pipeThrough(new TextDecoderStream())) {
        this.#log = `${this.#log}${part}`.slice(-5_000);
      }
    }));
  }

  /** Wait until it answers; otherwise, what is said of it and by it. */
  async comesUp(env: Record<string, string>, deadline: number): Promise<string | undefined> {
    for (;;) {
      const { code, stderr } = await attempt(["docker", "version"], { env });
      if (code === 0) return undefined;
      if (this.#ended || Date.now() > deadline) {
        return `${this.#ended ? "it ended" : "it does not answer"}: ${stderr}\n${this.#log}`;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    end(this.#child, "SIGTERM");
    const timer = setTimeout(() => end(this.#child, "SIGKILL"), patience);
    await Promise.all([this.#child.status, this.#read]);
    clearTimeout(timer);
  }
}

/** Remove its folder, with what it has mounted there and left, as it does when it was killed. */
async function removeFolder(folder: string): Promise<void> {
  const table = await Deno.readTextFile("/proc/self/mountinfo");
  const points = table.split("\n").map((line) => line.split(" ")[4] ?? "");
  for (const point of points.filter((each) => each.startsWith(`${folder}/`)).reverse()) {
    await attempt(["umount", point]);
  }
  await Deno.remove(folder, { recursive: true });
}
