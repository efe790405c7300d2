/**
 * Memory is bounded by design: a layer of 4 GB takes no more than one of 400 MB.
 *
 * @module
 */

import { Bed } from "../support/bed.ts";
import { run } from "../support/command.ts";
import { type Compression, OciLayout } from "../support/oci_layout.ts";

/** The most that any of them may take, in MiB. */
const bound = 350;
/** How much more the large one may take than the small one, in MiB: garbage comes and goes. */
const slack = 64;
const sizes = [400, 4096] as const;

/** Load layers of both sizes in each compression. @returns what was wrong */
export async function checkMemory(): Promise<string[]> {
  const wrong: string[] = [];
  for (const compression of ["gzip", "zstd", "none"] as const) {
    const [small, large] = [
      await peakOf(sizes[0], compression),
      await peakOf(sizes[1], compression),
    ];
    console.log(`memory, ${compression}: ${small} MiB for 400 MiB, ${large} MiB for 4 GiB`);
    if (large > bound) wrong.push(`${compression}: ${large} MiB for a layer of 4 GiB`);
    if (large > small + slack) wrong.push(`${compression}: from ${small} to ${large} MiB`);
  }
  return wrong;
}

/** The most memory that `enroot load` of a layer of so many MiB ever had, in MiB. */
async function peakOf(size: number, compression: Compression): Promise<number> {
  await using bed = await Bed.make("root");
  const { work, temp } = bed;
  await Deno.mkdir(`${temp}/content`);
  await run(["truncate", "-s", `${size}M`, `${temp}/content/file`]);
  // Without --sparse all of its zeroes are in the tar.
  await run(["tar", "--sort=name", "-cf", `${temp}/layer.tar`, "-C", `${temp}/content`, "."]);
  const layout = await OciLayout.create(`${work}/layout`);
  const layer = await layout.putLayer(`${temp}/layer.tar`, compression);
  await Deno.remove(`${temp}/layer.tar`);
  await layout.tag("x", await layout.putImage([layer]));
  return await peakOfLoad(bed);
}

/**
 * The most memory that `enroot load` ever had, in MiB, of the image `x` in the bed's `layout`; the
 * container is `x` too.
 */
export async function peakOfLoad(bed: Bed): Promise<number> {
  const child = bed.start([bed.executable, "load", "-n", "x", "oci:layout:x"]);
  const said = new Response(child.stderr).text();
  await child.stdout.cancel();
  let isRunning = true;
  const status = child.status.finally(() => isRunning = false);
  let peak = 0;
  while (isRunning) {
    const text = await Deno.readTextFile(`/proc/${child.pid}/status`).catch(() => "");
    const [, kilobytes = "0"] = /^VmHWM:\s+(\d+) kB$/m.exec(text) ?? [];
    peak = Math.max(peak, Number(kilobytes) / 1024);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  if (!(await status).success) throw new Error(await said);
  await said;
  return Math.round(peak);
}
