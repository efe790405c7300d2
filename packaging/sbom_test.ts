import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describeSbom, lockedPackages, type SbomOptions } from "./sbom.ts";

const top = new URL("../", import.meta.url).pathname;
const options: SbomOptions = {
  version: "1.2.3",
  architecture: "amd64",
  epoch: 1_700_000_000,
  runtime: { deno: "2.0.0", v8: "13.0", sha256: "ab".repeat(32) },
  musl: "1.2.3-1",
  packages: [{ name: "@scope/x", version: "4.5.6", sha512: "cd".repeat(64) }],
};

Deno.test("packages are read from the lock file with their hashes", async () => {
  const lock = await Deno.readTextFile(`${top}deno.lock`);
  const packages = lockedPackages(lock);
  const specifiers: string[] = Object.values(JSON.parse(lock).specifiers);
  assertEquals(packages.map(({ version }) => version).sort(), specifiers.sort());
  for (const { sha512 } of packages) assert(/^[0-9a-f]{128}$/.test(sha512), sha512);
  const named = lockedPackages('{"npm": {"@a/b@1.0.0_c@2.0.0": {"integrity": "sha512-AAE="}}}');
  assertEquals(named, [{ name: "@a/b", version: "1.0.0", sha512: "0001" }]);
  for (const bad of ['{"a@1": {}}', '{"a@1": {"integrity": "sha1-AAE="}}', '{"a": {}}']) {
    assertThrows(() => lockedPackages(`{"npm": ${bad}}`), Error, "has no sha512");
  }
});

Deno.test("a bill names everything once, and is the same for the same contents", async () => {
  const text = await describeSbom(options);
  assertEquals(await describeSbom(options), text);
  const bill = JSON.parse(text);
  assertEquals([bill.bomFormat, bill.specVersion, bill.version], ["CycloneDX", "1.5", 1]);
  assertEquals(bill.metadata.timestamp, "2023-11-14T22:13:20Z");
  assert(
    /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
      .test(bill.serialNumber),
    bill.serialNumber,
  );
  const refs: string[] = bill.components.map((each: Record<string, string>) => each["bom-ref"]);
  assertEquals(refs, ["deno@2.0.0", "v8@13.0", "musl@1.2.3-1", "@scope/x@4.5.6"]);
  assertEquals(bill.components.at(-1).purl, "pkg:npm/%40scope/x@4.5.6");
  const known = new Set([...refs, bill.metadata.component["bom-ref"]]);
  for (const { ref, dependsOn } of bill.dependencies) {
    for (const each of [ref, ...dependsOn]) assert(known.has(each), each);
  }
  const other = JSON.parse(await describeSbom({ ...options, musl: "1.2.4" }));
  assert(other.serialNumber !== bill.serialNumber);
  await assertRejects(() => describeSbom({ ...options, epoch: NaN }), RangeError);
});
