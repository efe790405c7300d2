/**
 * A real Docker daemon, on a socket and in folders of its own. It needs root.
 *
 * @module
 */

import { attempt, run, spawn } from "./command.ts";

/** A daemon at work. Disposing of it stops it and removes all it has. */
export interface Dockerd extends AsyncDisposable {
  /** What the `docker` command is given to find it. */
  readonly env: Readonly<Record<string, string>>;
  /** Its socket, which only root may use. */
  readonly socket: string;
  /** Run the `docker` command, which must succeed, for what it prints. */
  docker(...args: string[]): Promise<string>;
}

/** How long it may take to come up and to go, in milliseconds. */
const patience = 30_000;

/** Start a daemon without a network. @throws {Error} with its log when it does not come up */
export async function startDockerd(): Promise<Dockerd> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "zenroot-docker-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  await Deno.chmod(folder, 0o755);
  const socket = `${folder}/socket`;
  const child = spawn([
    ...["dockerd", "--host", `unix://${socket}`, "--pidfile", `${folder}/pid`],
    ...["--data-root", `${folder}/data`, "--exec-root", `${folder}/exec`],
    ...["--iptables=false", "--bridge=none", "--config-file", await emptyConfig(folder)],
  ]);
  const log = readLog(child);
  stack.defer(async () => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), patience);
    await Promise.all([child.status, log.end]);
    clearTimeout(timer);
    // What it has mounted on its own folders goes with it, but not when it had to be killed.
    await attempt(["umount", `${folder}/data`]);
  });
  const env = { DOCKER_HOST: `unix://${socket}`, DOCKER_CONFIG: folder };
  for (const deadline = Date.now() + patience;;) {
    const { code, stderr } = await attempt(["docker", "version"], { env });
    if (code === 0) break;
    if (Date.now() > deadline) throw new Error(`dockerd did not come up: ${stderr}\n${log.text()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const kept = stack.move();
  return {
    env,
    socket,
    docker: (...args) => run(["docker", ...args], { env }),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** What the machine's own daemon is configured to do is not for this one. */
async function emptyConfig(folder: string): Promise<string> {
  const path = `${folder}/daemon.json`;
  await Deno.writeTextFile(path, "{}");
  return path;
}

function readLog(child: Deno.ChildProcess): { end: Promise<unknown>; text(): string } {
  let text = "";
  const end = Promise.all([child.stdout, child.stderr].map(async (stream) => {
    for await (const part of stream.pipeThrough(new TextDecoderStream())) {
      text = `${text}${part}`.slice(-5_000);
    }
  }));
  return { end, text: () => text };
}
