/**
 * The `enroot` of another host, over the system's ssh.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import { callerEnvironment } from "../process/caller.ts";
import {
  drain,
  endOnAbort,
  keptStderr,
  restOfStderr,
  spawn,
  Tail,
  within,
} from "../process/run.ts";
import type { ContainerName } from "../storage/container_name.ts";
import { encodeName } from "../storage/zfs/dataset_names.ts";
import type { Pipe } from "./channel.ts";
import { protocolVersion } from "./messages.ts";
import { hostOf, type ZfsUri } from "./zfs_uri.ts";

/** What the other end is to do, see {@linkcode remoteCommand}. */
export type RemoteTask =
  | { readonly does: "send"; readonly name: ContainerName }
  | { readonly does: "receive"; readonly name: ContainerName; readonly replace: boolean };

/**
 * The words of the command on the other end. ssh joins them and hands them to a shell of whatever kind, so
 * that the name stands there as a dataset's would: letters, digits, `.`, `_`, `-` and `:` only.
 */
export function remoteCommand(task: RemoteTask): string[] {
  const protocol = ["--protocol", protocolVersion];
  const name = encodeName(task.name);
  if (task.does === "send") return ["enroot", "export", "--zfs-send", ...protocol, "--", name];
  const force = task.replace ? ["--force"] : [];
  return ["enroot", "import", "--zfs-recv", ...protocol, ...force, "-n", name];
}

/**
 * The command here. What ssh_config says counts, but for the options that stand here.
 *
 * @param connectTimeout in seconds; 0: as long as it takes
 */
export function sshArgv(
  { user, host, port }: ZfsUri,
  task: RemoteTask,
  connectTimeout: number,
): string[] {
  return [
    ...["ssh", "-T", "-x", "-a"],
    // A host that is gone is noticed within a minute, and not waited for.
    ...(connectTimeout > 0 ? ["-o", `ConnectTimeout=${connectTimeout}`] : []),
    ...["-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"],
    ...(port === undefined ? [] : ["-p", String(port)]),
    "--",
    user === undefined ? host : `${user}@${host}`,
    ...remoteCommand(task),
  ];
}

const tidying = 60_000;

/** A connection to the `enroot` of another host. Disposing of it ends it. */
export interface SshConnection extends Pipe, AsyncDisposable {
  /** Why it ended, once nothing more comes from it. @throws the signal's reason */
  failure(): Promise<EnrootError>;
  /** All is said: wait until the other end has tidied up, but no longer than a minute. */
  finish(): Promise<void>;
}

/**
 * Connect.
 *
 * @throws {EnrootError} code `program-missing` without an ssh
 */
export function connect(
  uri: ZfsUri,
  task: RemoteTask,
  { connectTimeout, signal }: { readonly connectTimeout: number; readonly signal: AbortSignal },
): SshConnection {
  signal.throwIfAborted();
  const child = spawn(sshArgv(uri, task, connectTimeout), callerEnvironment(), {
    input: new Uint8Array(),
  });
  const disposed = new AbortController();
  const ending = endOnAbort(child, AbortSignal.any([signal, disposed.signal]));
  const tail = new Tail(keptStderr);
  const stderr = drain(child.stderr, (chunk) => tail.add(chunk));
  const writer = child.stdin.getWriter();
  const reader = child.stdout.getReader();
  const end = (): Promise<void> => writer.close().catch(() => {});
  return {
    read: async () => (await reader.read()).value,
    write: (bytes) => writer.write(bytes),
    async finish() {
      await within(
        tidying,
        (async () => {
          await end();
          while (!(await reader.read()).done);
          await child.status;
        })(),
      );
    },
    async failure() {
      const status = await child.status;
      await within(restOfStderr, stderr.end);
      signal.throwIfAborted();
      return explain(hostOf(uri), status.code, tail.text());
    },
    async [Symbol.asyncDispose]() {
      // Where nobody takes what was written last, it does not end by itself.
      await within(restOfStderr, end());
      await reader.cancel().catch(() => {});
      // It has nothing to do any more; a moment for its farewell, and no longer.
      await within(restOfStderr, child.status.then(() => {}));
      disposed.abort();
      await child.status;
      ending[Symbol.dispose]();
      await stderr[Symbol.asyncDispose]();
    },
  };
}

/** What an exit code and the last words of ssh, or of the other end, mean. */
export function explain(host: string, code: number, stderr: string): EnrootError {
  const lines = stderr.trim().split(/[\r\n]+/).map((line) => line.trim()).filter((line) =>
    line !== ""
  );
  const said = lines.slice(-3).join("; ");
  if (code === 127) {
    return new EnrootError(
      "no-enroot",
      `there is no enroot in the PATH that ssh gives to commands on ${host} (${said})`,
    );
  }
  if (code === 255) {
    return new EnrootError("ssh-failed", `cannot reach ${host}: ${said || "ssh says no more"}`);
  }
  const error = lines.findLast((line) => line.startsWith("[ERROR] "))?.slice("[ERROR] ".length);
  const isOlder = /unknown option|unrecognized option|invalid option/i.test(stderr);
  const why = isOlder
    ? `its enroot knows nothing of this: install the same version there (${said})`
    : error ?? (said || `its enroot ended with exit code ${code}`);
  return new EnrootError("remote-failed", `${host}: ${why}`);
}
