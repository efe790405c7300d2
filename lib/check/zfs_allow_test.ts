import { assertEquals } from "@std/assert";
import { lackingPermissions, type Subject } from "./zfs_allow.ts";

const ada: Subject = { uid: 1000, name: "ada", groups: ["ada", "lab"] };
const wanted = ["create", "mount", "clone"];

function sectionOf(dataset: string, ...lines: string[]): string {
  return [`---- Permissions on ${dataset} ------------------`, ...lines, ""].join("\n");
}

const both = "Local+Descendent permissions:";

Deno.test("permissions count that hold for the dataset and what is below it", () => {
  for (
    const [lines, lacking] of [
      [[both, "\tuser ada clone,create,mount"], []],
      [[both, "\tuser 1000 clone,create"], ["mount"]],
      [[both, "\tuser (unknown:1000) clone,create,mount"], []],
      [[both, "\tuser (unknown: 1000) clone,create,mount"], []],
      [[both, "\teveryone clone,create,mount"], []],
      [[both, "\tgroup lab clone", "\teveryone create,mount"], []],
      [[both, "\tuser adam clone,create,mount"], wanted],
      [[both, "\tgroup adam clone,create,mount"], wanted],
      [["Local permissions:", "\tuser ada clone,create,mount"], wanted],
      [["Descendent permissions:", "\tuser ada clone,create,mount"], wanted],
      [["Create time permissions:", "\tclone,create,mount"], wanted],
      [
        ["Permission sets:", "\t@a clone,@b", "\t@b mount", both, "\tuser ada create,@a"],
        [],
      ],
      [["Permission sets:", "\t@a clone", both, "\tuser eve @a"], wanted],
      [[], wanted],
    ] as const
  ) {
    const text = sectionOf("tank/enroot/1000", ...lines);
    assertEquals(lackingPermissions(text, "tank/enroot/1000", ada, wanted), [...lacking]);
  }
});

Deno.test("what a dataset above hands down counts", () => {
  const own = sectionOf("tank/e", both, "\tuser ada clone");
  for (const kind of ["Descendent permissions:", both]) {
    const above = sectionOf("tank", kind, "\teveryone create,mount");
    assertEquals(lackingPermissions(own + above, "tank/e", ada, wanted), []);
  }
  const local = sectionOf("tank", "Local permissions:", "\teveryone create,mount");
  assertEquals(lackingPermissions(own + local, "tank/e", ada, wanted), ["create", "mount"]);
});
