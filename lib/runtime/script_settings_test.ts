import { assertEquals, assertRejects } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { settingsOf } from "./script_settings.ts";

const environment = { HOME: "/home/me" };

const scripts: [text: string, settings: Record<string, string>][] = [
  ["", {}],
  ["#!/bin/bash\nENROOT_A=1\n", {}],
  ["#ENROOT_A=1\n#ENROOT_B_C=two words\n", { ENROOT_A: "1", ENROOT_B_C: "two words" }],
  ["#ENROOT_A=1\r\n#ENROOT_A=2\r\n", { ENROOT_A: "2" }],
  ["#ENROOT_ROOTFS=${HOME}/x.sqsh\n", { ENROOT_ROOTFS: "/home/me/x.sqsh" }],
  ["#ENROOT_A='${HOME}'\n", { ENROOT_A: "${HOME}" }],
  ['#ENROOT_A="x" # why\n', { ENROOT_A: "x" }],
  ["#ENROOT_A=$(echo ran)\n", { ENROOT_A: "ran" }],
  ["#ENROOT_A=\n", { ENROOT_A: "" }],
  ["# ENROOT_A=1\n#\tENROOT_B=2\n#  ENROOT_C 3\n", { ENROOT_A: "1", ENROOT_B: "2", ENROOT_C: "3" }],
  ["#ENROOT_A 1\n#ENROOT_B\t 2\n#ENROOT_C = 3\n", { ENROOT_A: "1", ENROOT_B: "2", ENROOT_C: "3" }],
  ["#ENROOT_A\n#ENROOT_B \n", { ENROOT_A: "", ENROOT_B: "" }],
  ["# ENROOT_A ${XDG_DATA_HOME}/x # why\n", { ENROOT_A: "/home/me/.local/share/x" }],
  [" #ENROOT_A=1\n##ENROOT_A=1\n# # ENROOT_A=1\n#enroot_a=1\n", {}],
  ["#ENROOT_\n# ENROOT_ is a prefix\n#ENROOT_A: 1\n#ENROOT_Ab=1\n#SEE ENROOT_A=1\n", {}],
  ["#LD_PRELOAD=/x\n#PATH=/x\n", {}],
];
for (const [text, settings] of scripts) {
  Deno.test(`the script ${JSON.stringify(text)} sets ${JSON.stringify(settings)}`, async () => {
    assertEquals(await settingsOf({ path: "conf", text }, environment), settings);
  });
}

Deno.test("a value that cannot be had names the script and its line", async () => {
  const script = { path: "conf", text: "\n\n#ENROOT_A=$(false)\n" };
  const error = await assertRejects(() => settingsOf(script, environment), EnrootError);
  assertEquals(error.message.startsWith("conf:3: ENROOT_A: "), true, error.message);
});
