/**
 * The archives that are made wrong: written by GNU tar and bsdtar in every format they have.
 *
 * @module
 */

import { run } from "../support/command.ts";

/** Shell text that fills the folder it is run in with a bit of everything. */
const content = String.raw`
  mkdir -p a/b/c empty "with space" deep/$(printf 'x%.0s' $(seq 120))/$(printf 'y%.0s' $(seq 120))
  printf 1 > a/one; printf 2 > a/b/two; ln a/one a/b/hard; ln -s ../one a/b/link; ln -s /etc/passwd a/abs
  ln -s nowhere dangling; mkfifo fifo; printf s > deep/$(printf 'x%.0s' $(seq 120))/$(printf 'y%.0s' $(seq 120))/long
  truncate -s 300K sparse; printf x | dd of=sparse bs=1 seek=100000 conv=notrunc status=none; printf e >> sparse
  : > a/.wh.gone; mkdir opaque; : > opaque/.wh..wh..opq; printf n > opaque/new; printf 'é' > 'grüße'
  setfattr -n user.k -v v a/one; chmod 4755 a/one; chmod 1777 empty; chmod 555 "with space"`;

const programs: readonly (readonly string[])[] = [
  ["tar", "--format=ustar", "--exclude=deep", "-cf"],
  ["tar", "--format=gnu", "--sparse", "-cf"],
  ["tar", "--format=oldgnu", "--sparse", "-cf"],
  ["tar", "--format=v7", "--exclude=deep", "--exclude=fifo", "-cf"],
  ["tar", "--format=posix", "--sparse", "--xattrs", "-cf"],
  ["tar", "--format=posix", "--sparse", "--sparse-version=0.0", "-cf"],
  ["tar", "--format=posix", "--sparse", "--sparse-version=0.1", "-cf"],
  ["bsdtar", "--format=pax", "--xattrs", "-cf"],
  ["bsdtar", "--format=ustar", "--exclude=deep", "-cf"],
];

/** Make the seeds. @param scratch an empty folder */
export async function makeSeeds(scratch: string): Promise<Uint8Array<ArrayBuffer>[]> {
  const folder = `${scratch}/content`;
  await Deno.mkdir(folder);
  await run(["bash", "-euc", content], { cwd: folder });
  const seeds: Uint8Array<ArrayBuffer>[] = [];
  for (const [index, program] of programs.entries()) {
    const file = `${scratch}/${index}.tar`;
    await run([...program, file, "."], { cwd: folder });
    seeds.push(await Deno.readFile(file));
  }
  return seeds;
}
