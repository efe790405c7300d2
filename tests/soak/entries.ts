/**
 * Layers of a million entries: applied, in bounded memory and time, or refused.
 *
 * @module
 */

import { Bed } from "../support/bed.ts";
import { run } from "../support/command.ts";
import { OciLayout } from "../support/oci_layout.ts";
import { rawMember } from "../support/raw_tar.ts";
import { peakOfLoad } from "./memory.ts";

const million = 1_000_000;

/** The most that a load may take, in seconds, on a machine that has other things to do. */
const longest = 300;

interface Case {
  readonly what: string;
  readonly count: number;
  /** The entry of a number. */
  readonly member: (index: number) => Uint8Array<ArrayBuffer>;
  /** The most memory that loading it may take, in MiB; absent when it is to be refused. */
  readonly memory?: number;
}

const inThousands = (index: number): string => `d${Math.floor(index / 1000)}`;
const cases: readonly Case[] = [
  {
    what: "files",
    count: million,
    member: (index) => rawMember({ name: `${inThousands(index)}/a-file-of-many-${index}` }),
    memory: 350,
  },
  {
    what: "files in one folder",
    count: million,
    member: (index) => rawMember({ name: `a-file-of-many-${index}` }),
    memory: 350,
  },
  {
    what: "folders",
    count: million,
    member: (index) =>
      rawMember({ name: `${inThousands(index)}/a-folder-of-many-${index}/`, type: "5" }),
    memory: 640,
  },
  {
    what: "folders, too many",
    count: 1_100_000,
    member: (index) =>
      rawMember({ name: `${inThousands(index)}/a-folder-of-many-${index}/`, type: "5" }),
  },
];

/** Load layers of each kind. @returns what was wrong */
export async function checkEntries(): Promise<string[]> {
  const wrong: string[] = [];
  for (const { what, count, member, memory } of cases) {
    await using bed = await Bed.make("root");
    const { work, temp } = bed;
    await writeTar(`${temp}/layer.tar`, count, member);
    const layout = await OciLayout.create(`${work}/layout`);
    await layout.tag(
      "x",
      await layout.putImage([await layout.putLayer(`${temp}/layer.tar`, "gzip")]),
    );
    await Deno.remove(`${temp}/layer.tar`);
    const began = performance.now();
    if (memory === undefined) {
      const { code, stderr } = await bed.enroot(["load", "-n", "x", "oci:layout:x"]);
      const isRefused = code === 1 && stderr.includes("[ERROR]") && stderr.includes("more than");
      if (!isRefused) wrong.push(`${count} ${what}: it ended with ${code}: ${stderr}`);
      console.log(`${count} ${what}: refused after ${seconds(began)} s`);
      continue;
    }
    const peak = await peakOfLoad(bed);
    const took = seconds(began);
    console.log(`${count} ${what}: ${took} s, ${peak} MiB`);
    const found = await run(["sh", "-c", `find "$1" -name 'a-f*' | wc -l`, "sh", `${bed.data}/x`]);
    if (Number(found) !== count) wrong.push(`${what}: ${found.trim()} of ${count} are there`);
    if (peak > memory) wrong.push(`${what}: ${peak} MiB, at most ${memory}`);
    if (took > longest) wrong.push(`${what}: ${took} s, at most ${longest}`);
  }
  return wrong;
}

function seconds(since: number): number {
  return Math.round((performance.now() - since) / 1000);
}

async function writeTar(
  path: string,
  count: number,
  member: (index: number) => Uint8Array<ArrayBuffer>,
): Promise<void> {
  const block = 512;
  const part = new Uint8Array(2048 * block);
  using file = await Deno.create(path);
  for (let index = 0; index < count;) {
    let length = 0;
    for (; index < count && length < part.length; index++, length += block) {
      part.set(member(index), length);
    }
    await file.write(part.subarray(0, length));
  }
  await file.write(new Uint8Array(2 * block));
}
