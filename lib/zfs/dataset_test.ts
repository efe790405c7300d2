import { assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { childOf, datasetOf, lastComponent, parseDatasetName, snapshotOf } from "./dataset.ts";

const good = ["tank", "tank/enroot", "tank/a b/c:2b.d_e-f", "tank/.templates", "t/..."];
const bad = [
  ...["", "/", "tank/", "/tank", "tank//a", "tank/a@b", "tank/a#b", "tank/é", "tank/a+b"],
  ...["tank/..", "tank/./a", "tank/a\n", "tank/a\0", "tank/a%b", `tank/${"x".repeat(251)}`],
];

for (const text of good) {
  Deno.test(`'${text}' is a dataset name`, () =>
    assertEquals<string>(parseDatasetName(text), text));
}
for (const text of bad) {
  Deno.test(`${JSON.stringify(text.slice(0, 20))} is no dataset name`, () => {
    assertThrows(() => parseDatasetName(text), EnrootError, "no name of a ZFS dataset");
  });
}

Deno.test("names are put together and taken apart", () => {
  const child = childOf(parseDatasetName("tank/a"), "b/c");
  assertEquals<string>(child, "tank/a/b/c");
  assertEquals(lastComponent(child), "c");
  assertEquals(datasetOf(snapshotOf(child, "pristine")), child);
  assertThrows(() => childOf(child, "../x"), EnrootError);
  assertThrows(() => snapshotOf(child, "a@b"), EnrootError);
  assertThrows(() => snapshotOf(child, ""), EnrootError);
  assertThrows(() => snapshotOf(child, "x".repeat(250)), EnrootError);
});
