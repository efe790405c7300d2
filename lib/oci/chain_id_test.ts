import { assertEquals, assertNotEquals } from "@std/assert";
import { chainIds } from "./chain_id.ts";
import { parseDiffId } from "./digest.ts";

const [a, b, c] = ["a", "b", "c"].map((digit) => parseDiffId(`sha256:${digit.repeat(64)}`));
if (a === undefined || b === undefined || c === undefined) throw new Error("three were made");

Deno.test("a chain ID is the diff ID of the first layer, and hashes what is below from then on", async () => {
  const text = new TextEncoder().encode(`${a} ${b}`);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", text)).toHex();
  assertEquals(chainIds([a, b]).map(String), [a, `sha256:${hash}`]);
  assertEquals(chainIds([]), []);
});

Deno.test("the same layer on another parent, or twice, has another chain ID", () => {
  assertNotEquals(chainIds([a, c])[1], chainIds([b, c])[1]);
  const [first, second, third] = chainIds([a, b, a]);
  assertEquals(new Set([first, second, third]).size, 3);
});
