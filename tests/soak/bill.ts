/**
 * The bill of materials, held against the schema of those who made its format. That comes by npm, in a folder of its own
 * and with packages that nothing else needs, so it is no part of the tests of every change.
 *
 * @module
 */

import { describeSbom, lockedPackages } from "../../packaging/sbom.ts";
import { CycloneDx } from "../support/cyclonedx.ts";

const top = new URL("../../", import.meta.url).pathname;

/** @returns what was wrong */
export async function checkBill(): Promise<string[]> {
  const text = await describeSbom({
    version: "1.2.3",
    architecture: "amd64",
    epoch: 1_700_000_000,
    runtime: { deno: Deno.version.deno, v8: Deno.version.v8, sha256: "ab".repeat(32) },
    musl: "1.2.3-1",
    packages: lockedPackages(await Deno.readTextFile(`${top}deno.lock`)),
  });
  await using schema = await CycloneDx.install();
  const path = `${schema.folder}/bill.json`;
  await Deno.writeTextFile(path, text);
  const found = await schema.check(path);
  // One that it would let pass anyway is none that was checked.
  await Deno.writeTextFile(path, text.replace('"library"', '"book"'));
  const spoiled = await schema.check(path);
  return [
    ...(found === "" ? [] : [`the bill of materials is not what its schema says: ${found}`]),
    ...(spoiled.includes("/components/") ? [] : ["the schema takes a component of no known type"]),
  ];
}
