import { assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../../errors.ts";
import { parseDatasetName } from "../../zfs/dataset.ts";
import { parseContainerName } from "../container_name.ts";
import { containerDataset, decodeName, encodeName } from "./dataset_names.ts";

const pairs = [
  ["plain.Name_1-x", "plain.Name_1-x"],
  ["busybox+latest", "busybox:2blatest"],
  ["a b", "a:20b"],
  ["a:b", "a:3ab"],
  ["é", ":c3:a9"],
  ["x".repeat(128), "x".repeat(128)],
] as const;

for (const [name, component] of pairs) {
  Deno.test(`container '${name.slice(0, 20)}' is dataset '${component.slice(0, 20)}'`, () => {
    assertEquals(encodeName(parseContainerName(name)), component);
    assertEquals<string | undefined>(decodeName(component), name);
  });
}

const none = [".templates", "-x", "a b", "a:2B", "a:62", "a:2f", ":c3", "a:0ab", "", "a:", "a+b"];
for (const component of none) {
  Deno.test(`dataset '${component}' is no container's`, () => {
    assertEquals(decodeName(component), undefined);
  });
}

Deno.test("a name that has no room in a dataset's is refused with the reason", () => {
  const store = parseDatasetName("tank/enroot");
  const error = assertThrows(
    () => containerDataset(store, parseContainerName("é".repeat(64))),
    EnrootError,
  );
  assertEquals(error.code, "bad-name");
});
