/**
 * Stores with more in them than a test has time to make.
 *
 * @module
 */

import { run } from "./command.ts";
import type { TestDataset } from "./zfs_bed.ts";

/**
 * Add templates that look like real ones, and containers that are clones of them, which are mounted where
 * they belong. They are made in one go, without `enroot`.
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
  const properties = [
    ...["canmount=noauto", "enroot:imported=2026-01-01T00:00:00Z", `enroot:last_used=${now()}`],
    ...["enroot:uri=docker://registry.example/some/image:tag", "enroot:arch=amd64"],
    `enroot:manifest-digest=sha256:${"0".repeat(64)}`,
  ].map((each) => `-o ${each}`).join(" ");
  const script = `
    store=$1; path=$2; first=$3; templates=$4; containers=$5
    i=$first
    while [ $i -lt $((first + templates)) ]; do
      t=$store/.templates/$(printf %064x $i)
      zfs create -u -o readonly=on ${properties} $t
      zfs snapshot $t@pristine
      i=$((i + 1))
    done
    i=$first
    while [ $i -lt $((first + containers)) ]; do
      c=container-$i
      zfs clone -o canmount=noauto \\
        $store/.templates/$(printf %064x $((first + i % templates)))@pristine $store/$c
      mkdir $path/$c
      mount -i -t zfs -o nosuid,nodev $store/$c $path/$c
      i=$((i + 1))
    done`;
  const numbers = [first, templates, containers].map(String);
  await run(["sh", "-euc", script, "sh", name, path, ...numbers]);
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}
