import { assertEquals, assertMatch } from "@std/assert";
import { keys } from "../config/keys.ts";
import { checkSettings, distanceOf, setKeys } from "./settings.ts";

Deno.test("mistyped keys are named with the key that is meant and where they stand", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/enroot.conf.d`);
    await Deno.writeTextFile(`${folder}/enroot.conf`, "# a comment\nENROOT_DATA_PAHT /x\n");
    await Deno.writeTextFile(`${folder}/enroot.conf.d/10.conf`, "ENROOT_SOMETHING_ELSE y\n");
    await Deno.writeTextFile(`${folder}/enroot.conf.d/10.conf.bak`, "ENROOT_OLD y\n");
    const findings = checkSettings(setKeys(folder, { ENROOT_REMAPROOT: "y", HOME: "/" }));
    assertEquals(findings.map(({ status }) => status), ["warn", "warn", "warn"]);
    const [environment, file, other] = findings;
    assertMatch(environment?.detail ?? "", /^ENROOT_REMAPROOT \(environment\)/);
    assertEquals(environment?.remedy, "write ENROOT_REMAP_ROOT");
    assertMatch(file?.detail ?? "", /^ENROOT_DATA_PAHT \(.*\/enroot\.conf:2\)/);
    assertEquals(file?.remedy, "write ENROOT_DATA_PATH");
    assertMatch(other?.detail ?? "", /10\.conf:1/);
    assertMatch(other?.remedy ?? "", /enroot info/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("every key, and what old files and hooks have, is known", () => {
  const names = [...Object.keys(keys), "ENROOT_GZIP_PROGRAM", "ENROOT_ROOTFS", "NVIDIA_X", "HOME"];
  const set = names.map((key) => ({ key, place: "environment" }));
  assertEquals(checkSettings(set).map(({ status }) => status), ["ok"]);
});

Deno.test("the distance of words is the number of letters to change", () => {
  for (
    const [a, b, distance] of [
      ["", "", 0],
      ["abc", "abc", 0],
      ["abc", "", 3],
      ["abc", "abd", 1],
      ["abc", "acb", 2],
      ["abc", "xabc", 1],
      ["kitten", "sitting", 3],
    ] as const
  ) assertEquals([distanceOf(a, b), distanceOf(b, a)], [distance, distance]);
});
