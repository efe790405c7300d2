import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { EnrootError } from "../../errors.ts";
import { type CdiSpecs, chooseDevices, readCdiSpecs } from "./devices.ts";

/** Specifications with devices that only have a variable, which says file and name. */
async function specsOf(
  files: Readonly<Record<string, { kind: string; names: readonly string[] } | string>>,
): Promise<CdiSpecs> {
  const top = await Deno.makeTempDir();
  try {
    for (const [path, content] of Object.entries(files)) {
      await Deno.mkdir(`${top}/${path.split("/")[0]}`, { recursive: true });
      const text = typeof content === "string" ? content : JSON.stringify({
        cdiVersion: "0.5.0",
        kind: content.kind,
        devices: content.names.map((name) => ({
          name,
          containerEdits: { env: [`D=${path}:${name}`] },
        })),
        containerEdits: { env: [`C=${path}`] },
      });
      await Deno.writeTextFile(`${top}/${path}`, text);
    }
    return readCdiSpecs([`${top}/etc`, `${top}/run`, `${top}/absent`]);
  } finally {
    await Deno.remove(top, { recursive: true });
  }
}

const kind = "nvidia.com/gpu";
const variablesOf = (specs: CdiSpecs, names: string): string[] =>
  chooseDevices(specs, kind, names).flatMap(({ edits }) => edits.env ?? []);

Deno.test("devices are found by their names, and what they share comes once", async () => {
  const specs = await specsOf({
    "etc/a.json": { kind, names: ["0", "1", "GPU-1234", "0:1"] },
    "etc/b.json": { kind: "other.org/x", names: ["0"] },
  });
  assertEquals(variablesOf(specs, "0"), ["D=etc/a.json:0", "C=etc/a.json"]);
  assertEquals(variablesOf(specs, "1, GPU-1234,1"), [
    "D=etc/a.json:1",
    "D=etc/a.json:GPU-1234",
    "C=etc/a.json",
  ]);
  assertEquals(variablesOf(specs, "0:1"), ["D=etc/a.json:0:1", "C=etc/a.json"]);
  assertEquals(variablesOf(specs, "other.org/x=0"), ["D=etc/b.json:0", "C=etc/b.json"]);
});

Deno.test("all is the device of that name, or each of the kind", async () => {
  const named = await specsOf({ "etc/a.json": { kind, names: ["0", "all"] } });
  assertEquals(variablesOf(named, "all"), ["D=etc/a.json:all", "C=etc/a.json"]);
  const plain = await specsOf({ "etc/a.json": { kind, names: ["0", "1"] } });
  assertEquals(variablesOf(plain, "all"), ["D=etc/a.json:0", "D=etc/a.json:1", "C=etc/a.json"]);
});

Deno.test("what was made at boot wins over what came with a package", async () => {
  const specs = await specsOf({
    "etc/a.json": { kind, names: ["0", "1"] },
    "run/a.json": { kind, names: ["0"] },
  });
  assertEquals(variablesOf(specs, "0"), ["D=run/a.json:0", "C=run/a.json"]);
  assertEquals(variablesOf(specs, "1"), ["D=etc/a.json:1", "C=etc/a.json"]);
});

Deno.test("a device that is not there is named with what there is", async () => {
  const specs = await specsOf({
    "etc/a.json": { kind, names: ["0", "1"] },
    "etc/b.yaml": "kind: [",
  });
  const { code, message } = assertThrows(() => chooseDevices(specs, kind, "0,7"), EnrootError);
  assertEquals(code, "no-device");
  assertStringIncludes(message, "nvidia.com/gpu=7");
  assertStringIncludes(message, "has 0, 1");
  assertStringIncludes(message, "b.yaml cannot be read");
});

Deno.test("a kind without devices says how they are made", async () => {
  for (const specs of [await specsOf({}), await specsOf({ "etc/a.json": { kind, names: [] } })]) {
    const { code, message } = assertThrows(() => chooseDevices(specs, kind, "all"), EnrootError);
    assertEquals(code, "no-cdi");
    assertStringIncludes(message, "nvidia-ctk cdi generate");
  }
});

Deno.test("a broken file is in nobody's way who needs another", async () => {
  const specs = await specsOf({
    "etc/a.json": { kind, names: ["0"] },
    "etc/b.json": "{",
    "etc/notes.txt": "{",
  });
  assertEquals(specs.problems.length, 1);
  assertEquals(variablesOf(specs, "0").length, 2);
});
