/**
 * Hosts for tests of transfers: each has a ZFS store, a configuration and a user of its own, in a mount
 * namespace of its own, and one of them a real sshd on loopback.
 *
 * @module
 */

import { permissions } from "../../lib/storage/zfs/delegation.ts";
import { Bed, type User } from "./bed.ts";
import { attempt, end, type Result, run, spawn } from "./command.ts";
import { installHelper, TestDataset, zfs } from "./zfs_bed.ts";

/** What ssh and sshd call the user of both hosts. */
const login = "tester";

/** A host. Disposing of it ends what runs there, and removes its store. */
export class Host implements AsyncDisposable {
  readonly bed: Bed;
  readonly dataset: TestDataset;
  readonly #etc: string;
  readonly #holder: Deno.ChildProcess;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    bed: Bed,
    dataset: TestDataset,
    { etc, holder, stack }: {
      readonly etc: string;
      readonly holder: Deno.ChildProcess;
      readonly stack: AsyncDisposableStack;
    },
  ) {
    this.bed = bed;
    this.dataset = dataset;
    this.#etc = etc;
    this.#holder = holder;
    this.#stack = stack;
  }

  /** Make one. */
  static async make(user: User): Promise<Host> {
    await using stack = new AsyncDisposableStack();
    const bed = stack.use(await Bed.make(user));
    const dataset = stack.use(await TestDataset.make(bed.uid));
    if (user === "plain user") {
      await zfs("allow", "-u", String(bed.uid), permissions.join(","), dataset.name);
      await installHelper(bed.executable.replace(/enroot$/, "enroot-zfs-mount"));
    }
    const etc = await Deno.makeTempDir({ prefix: "zenroot-etc-" });
    stack.defer(() => Deno.remove(etc, { recursive: true }));
    await Deno.mkdir(`${etc}/enroot`);
    // ssh and sshd take the home folder from here, and nowhere else.
    const others = (await Deno.readTextFile("/etc/passwd")).split("\n")
      .filter((line) => line.split(":")[2] !== String(bed.uid));
    const mine = `${login}:x:${bed.uid}:${bed.uid}:${login}:${bed.home}:/bin/sh`;
    await Deno.writeTextFile(`${etc}/passwd`, [mine, ...others].join("\n"));
    await run(["chmod", "-R", "go=rX", etc]);
    await Deno.mkdir("/run/sshd", { recursive: true, mode: 0o755 });
    await Deno.mkdir("/etc/enroot", { recursive: true });
    const script = 'mount --bind "$0/enroot" /etc/enroot; mount --bind "$0/passwd" /etc/passwd; ' +
      "echo ready; exec sleep 100000";
    const holder = spawn([
      ...["unshare", "--mount", "--propagation", "private", "sh", "-euc", script, etc],
    ]);
    stack.defer(async () => {
      end(holder, "SIGKILL");
      await holder.stderr.cancel();
      await holder.status;
    });
    const reader = holder.stdout.getReader();
    await reader.read();
    await reader.cancel();
    const host = new Host(bed, dataset, { etc, holder, stack: stack.move() });
    await host.configure();
    return host;
  }

  /** Write its `enroot.conf`. */
  async configure(lines: readonly string[] = ["ENROOT_STORAGE_BACKEND zfs"]): Promise<void> {
    const text = [`ENROOT_DATA_PATH ${this.dataset.path}`, ...lines, ""].join("\n");
    await Deno.writeTextFile(`${this.#etc}/enroot/enroot.conf`, text);
    await Deno.chmod(`${this.#etc}/enroot/enroot.conf`, 0o644);
  }

  /** Run a program there as its user. */
  run(argv: readonly string[], signal?: AbortSignal): Promise<Result> {
    return attempt(this.#inside(argv, this.bed.uid), {
      env: this.#env,
      clearEnv: true,
      cwd: this.bed.work,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** Start `enroot` there; the process ID is its own. */
  start(args: readonly string[]): Deno.ChildProcess {
    return spawn(this.#inside([this.bed.executable, ...args], this.bed.uid), {
      env: this.#env,
      clearEnv: true,
      cwd: this.bed.work,
    });
  }

  /** Run `enroot` there. */
  enroot(args: readonly string[]): Promise<Result> {
    return this.run([this.bed.executable, ...args]);
  }

  /** Run `enroot` there, which must succeed. @returns what it said, on both streams */
  async succeed(args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.enroot(args);
    if (code !== 0) throw new Error(`enroot ${args.join(" ")} ended with ${code}:\n${stderr}`);
    return stdout + stderr;
  }

  /** Start a program there as root. */
  serve(argv: readonly string[]): Deno.ChildProcess {
    return spawn(this.#inside(argv, 0), { env: this.#env, clearEnv: true });
  }

  /** The names of all that is in its store, templates and what lies around included. */
  contents(): Promise<string[]> {
    return this.dataset.contents();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  get #env(): Record<string, string> {
    const { ENROOT_SYSCONF_PATH: _, ...rest } = this.bed.env;
    return rest;
  }

  #inside(argv: readonly string[], uid: number): string[] {
    const who = uid === 0
      ? []
      : ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--"];
    return [
      ...["nsenter", "--mount", `--wdns=${this.bed.work}`, `--target=${this.#holder.pid}`, "--"],
      ...[...who, ...argv],
    ];
  }
}

/** An sshd. */
export interface Sshd extends AsyncDisposable {
  /** On 127.0.0.1. */
  readonly port: number;
}

/**
 * Start an sshd on a host, which lets the user of another one in.
 *
 * The other one's ssh knows it as `there`, by way of a port that {@linkcode setRoute} changes.
 */
export async function startSshd(there: Host, here: Host): Promise<Sshd> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "zenroot-sshd-" });
  await Deno.chmod(folder, 0o755);
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  for (const key of ["host", "user"]) {
    await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", `${folder}/${key}`]);
  }
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const { bed } = there;
  await Deno.writeTextFile(
    `${folder}/config`,
    [
      ...[`Port ${port}`, "ListenAddress 127.0.0.1", `HostKey ${folder}/host`, "UsePAM no"],
      ...[`AuthorizedKeysFile ${folder}/user.pub`, "StrictModes no", "PidFile none"],
      ...["PermitRootLogin yes", "PasswordAuthentication no", "AcceptEnv NOTHING"],
      `SetEnv PATH=${bed.executable.replace(/\/enroot$/, "")}:/usr/bin:/bin ` +
      `XDG_RUNTIME_DIR=${bed.runtime} TMPDIR=${bed.temp}`,
      "",
    ].join("\n"),
  );
  const server = there.serve(["/usr/sbin/sshd", "-D", "-e", "-f", `${folder}/config`]);
  const said = new Response(server.stderr).text();
  stack.defer(async () => {
    end(server, "SIGTERM");
    await Promise.all([server.status, said, server.stdout.cancel()]);
  });
  await Promise.race([
    listens(port),
    server.status.then(async () => Promise.reject(new Error(`sshd ended: ${await said}`))),
  ]);
  const ssh = `${here.bed.home}/.ssh`;
  await Deno.mkdir(ssh, { recursive: true, mode: 0o700 });
  await Deno.copyFile(`${folder}/user`, `${ssh}/key`);
  await Deno.chmod(`${ssh}/key`, 0o600);
  const [type, key] = (await Deno.readTextFile(`${folder}/host.pub`)).split(" ");
  await Deno.writeTextFile(`${ssh}/known`, `there ${type} ${key}\n`);
  await setRoute(here, port);
  const owned = stack.move();
  return { port, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Have ssh of a host reach `there` by this port. */
export async function setRoute(
  here: Host,
  port: number,
  lines: readonly string[] = [],
): Promise<void> {
  const ssh = `${here.bed.home}/.ssh`;
  const config = [
    ...["Host there", "HostName 127.0.0.1", `Port ${port}`, `User ${login}`, "HostKeyAlias there"],
    ...[...lines, `UserKnownHostsFile ${ssh}/known`, `IdentityFile ${ssh}/key`],
    ...["StrictHostKeyChecking yes", "BatchMode yes", ""],
  ];
  await Deno.writeTextFile(`${ssh}/config`, config.join("\n"));
  await here.bed.own();
}

async function listens(port: number): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end;) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  throw new Error(`nothing listens on port ${port}`);
}

/** A TCP proxy that counts, and may cut. Disposing of it ends its connections. */
export interface Wire extends AsyncDisposable {
  /** On 127.0.0.1. */
  readonly port: number;
  /** Bytes so far, in both directions. */
  bytes: number;
  /** After so many bytes connections are cut. */
  limit: number;
  /** Called once, when there were so many bytes, before they go on. */
  after?: { readonly bytes: number; readonly call: () => Promise<void> } | undefined;
  /** From now on nothing comes through the connections that are open, and neither end is told of anything. */
  silence(): void;
}

/** Start a proxy to a port on 127.0.0.1. */
export function startWire(target: number): Wire {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.TcpConn>();
  const silent = new WeakSet<Deno.TcpConn>();
  const close = (): void => {
    for (const each of open) {
      try {
        each.close();
      } catch {
        // Its other side was faster.
      }
    }
    open.clear();
  };
  const wire: Wire = {
    port: (listener.addr as Deno.NetAddr).port,
    bytes: 0,
    limit: Infinity,
    silence() {
      for (const each of open) silent.add(each);
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      close();
      await served;
    },
  };
  const pump = async (from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> => {
    const buffer = new Uint8Array(65536);
    try {
      for (let size; (size = await from.read(buffer)) !== null;) {
        wire.bytes += size;
        if (wire.bytes > wire.limit) return close();
        const { after } = wire;
        if (after !== undefined && wire.bytes > after.bytes) {
          wire.after = undefined;
          await after.call();
        }
        if (silent.has(to)) continue;
        for (let at = 0; at < size;) at += await to.write(buffer.subarray(at, size));
      }
      if (!silent.has(to)) await to.closeWrite();
    } catch {
      if (!silent.has(to)) close();
    }
  };
  const served = (async () => {
    try {
      for await (const client of listener) {
        const server = await Deno.connect({ hostname: "127.0.0.1", port: target });
        open.add(client).add(server);
        pump(client, server);
        pump(server, client);
      }
    } catch {
      // It is closed.
    }
  })();
  return wire;
}
