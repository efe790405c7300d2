import { assertEquals, assertThrows } from "@std/assert";
import { defaultMaintainer, maintainerOf } from "./maintainer.ts";

Deno.test("packages name who publishes them, or nobody in particular", () => {
  assertEquals(maintainerOf({}), defaultMaintainer);
  assertEquals(maintainerOf({ DEBFULLNAME: "", DEBEMAIL: "" }), defaultMaintainer);
  const site = { DEBFULLNAME: "HPC Söme Site", DEBEMAIL: "hpc@site.example" };
  assertEquals(maintainerOf(site), "HPC Söme Site <hpc@site.example>");
});

const bad: readonly Readonly<Record<string, string>>[] = [
  { DEBFULLNAME: "A" },
  { DEBEMAIL: "a@b.example" },
  { DEBFULLNAME: "A", DEBEMAIL: "nobody" },
  { DEBFULLNAME: "A\nEssential: yes", DEBEMAIL: "a@b.example" },
  { DEBFULLNAME: "A <x>", DEBEMAIL: "a@b.example" },
  { DEBFULLNAME: "A", DEBEMAIL: "a@b.example>\nX: y" },
  { DEBFULLNAME: "A, B", DEBEMAIL: "a@b.example" },
];
for (const environment of bad) {
  Deno.test(`a maintainer cannot be ${JSON.stringify(environment)}`, () => {
    assertThrows(() => maintainerOf(environment), Error, "set both");
  });
}
