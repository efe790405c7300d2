import { assertEquals } from "@std/assert";
import { hasIdmappedMounts } from "./idmapped_mounts.ts";

Deno.test("idmapped mounts of datasets take Linux 5.12 and OpenZFS 2.3", () => {
  const cases: readonly (readonly [linux: string, zfs: string, expected: boolean])[] = [
    ["5.12.0", "2.3.0-1", true],
    ["6.1.0-37-cloud-amd64", "2.3.2-1~bpo12+1\n", true],
    ["5.14.0-427.el9.x86_64", "2.3.99-1", true],
    ["10.0.0", "3.0.0", true],
    ["5.11.22", "2.3.0-1", false],
    ["4.18.0-553.el8.x86_64", "2.3.2-1", false],
    ["6.1.0", "2.1.15-1", false],
    ["6.1.0", "0.8.3-1ubuntu12", false],
    // Nobody can tell: mounting will.
    ["6.1.0", "", true],
    ["6.1.0", "unknown", true],
  ];
  for (const [linux, zfs, expected] of cases) {
    assertEquals(hasIdmappedMounts(linux, zfs), expected, `${linux} ${zfs}`);
  }
});
