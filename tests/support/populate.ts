/**
 * Stores with more in them than a test has time to make.
 *
 * @module
 */

import { cstring } from "../../lib/sys/libc.ts";
import { mount, MS } from "../../lib/sys/mount.ts";
import { run } from "./command.ts";
import type { TestDataset } from "./zfs_bed.ts";

/** How many names one `zfs` is given. */
const atOnce = 100;

/** Makes clones in this process: many times as many as `zfs clone` does, which is a program for each. */
class Cloner implements Disposable {
  readonly #library = Deno.dlopen("libzfs_core.so.3", {
    libzfs_core_init: { parameters: [], result: "i32" },
    libzfs_core_fini: { parameters: [], result: "void" },
    lzc_clone: { parameters: ["buffer", "buffer", "pointer"], result: "i32" },
  });

  constructor() {
    const code = this.#library.symbols.libzfs_core_init();
    if (code !== 0) throw new Error(`libzfs_core_init: error ${code}`);
  }

  clone(origin: string, name: string): void {
    const code = this.#library.symbols.lzc_clone(cstring(name), cstring(origin), null);
    if (code !== 0) throw new Error(`clone of ${origin} as ${name}: error ${code}`);
  }

  [Symbol.dispose](): void {
    this.#library.symbols.libzfs_core_fini();
    this.#library.close();
  }
}

/**
 * Add templates that look like real ones, and containers that are clones of them, which are mounted where
 * they belong. They are made without `enroot`.
 *
 * @param first the number of the first of both: what was added before has lower ones
 */
export async function populate(
  { name, path }: TestDataset,
  { first, templates, containers }: {
    readonly first: number;
    readonly templates: number;
    readonly containers: number;
  },
): Promise<void> {
  const base = `${name}/.populated-${first}`;
  await run(["zfs", "create", "-u", "-o", "canmount=noauto", base]);
  await run(["zfs", "snapshot", `${base}@base`]);
  const all = numbers(templates).map((index) =>
    `${name}/.templates/${(first + index).toString(16).padStart(64, "0")}`
  );
  using cloner = new Cloner();
  for (const template of all) cloner.clone(`${base}@base`, template);
  for (let at = 0; at < all.length; at += atOnce) {
    const part = all.slice(at, at + atOnce);
    await run(["zfs", "set", ...properties(), ...part]);
    await run(["zfs", "snapshot", ...part.map((template) => `${template}@pristine`)]);
  }
  for (const index of numbers(containers)) {
    cloner.clone(`${all[index % templates]}@pristine`, `${name}/${nameOf(index)}`);
  }
  for (const index of numbers(containers)) {
    const folder = `${path}/${nameOf(index)}`;
    await Deno.mkdir(folder);
    const flags = MS.NOSUID | MS.NODEV;
    mount({ source: `${name}/${nameOf(index)}`, target: folder, type: "zfs", flags });
  }

  function nameOf(index: number): string {
    return `container-${first + index}`;
  }
}

/** As a template has them that was just imported. */
function properties(): string[] {
  return [
    ...["readonly=on", "canmount=noauto", "enroot:imported=2026-01-01T00:00:00Z"],
    ...[`enroot:last_used=${Math.floor(Date.now() / 1000)}`, "enroot:arch=amd64"],
    "enroot:uri=docker://registry.example/some/image:tag",
    `enroot:manifest-digest=sha256:${"0".repeat(64)}`,
  ];
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
