/**
 * podman with a storage of its own. It needs root.
 *
 * @module
 */

import { attempt, run } from "./command.ts";

/** A storage. Disposing of it removes all it has. */
export interface Podman extends AsyncDisposable {
  /** What the `podman` command is given to find it. */
  readonly env: Readonly<Record<string, string>>;
  /** Run the `podman` command, which must succeed, for what it prints. */
  podman(...args: string[]): Promise<string>;
}

/** Make an empty storage. */
export async function makePodman(): Promise<Podman> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "zenroot-podman-" });
  stack.defer(async () => {
    // It leaves its storage mounted on itself.
    await attempt(["umount", `${folder}/graph/overlay`]);
    await Deno.remove(folder, { recursive: true });
  });
  const storage = { driver: "overlay", graphroot: `${folder}/graph`, runroot: `${folder}/run` };
  await Deno.writeTextFile(`${folder}/storage.conf`, `[storage]\n${toml(storage)}`);
  const engine = { tmp_dir: `${folder}/tmp`, cgroup_manager: "cgroupfs", events_logger: "none" };
  await Deno.writeTextFile(`${folder}/containers.conf`, `[engine]\n${toml(engine)}`);
  const env = {
    CONTAINERS_STORAGE_CONF: `${folder}/storage.conf`,
    CONTAINERS_CONF: `${folder}/containers.conf`,
  };
  const kept = stack.move();
  return {
    env,
    podman: (...args) => run(["podman", ...args], { env }),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function toml(values: Readonly<Record<string, string>>): string {
  return Object.entries(values).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
    .join("");
}
