import { assertEquals } from "@std/assert";
import { maskCredentials, shownValue } from "./secrets.ts";

const texts: [text: string, masked: string][] = [
  ["http://proxy:3128", "http://proxy:3128"],
  ["http://user:secret@proxy:3128", "http://***@proxy:3128"],
  ["http://user:sec@ret@proxy", "http://***@proxy"],
  ["http://user:sec/ret@proxy/x", "http://***@proxy/x"],
  ["user:secret@proxy:3128", "***@proxy:3128"],
  ["SOCKS5h://u:secret@proxy", "SOCKS5h://***@proxy"],
  [
    "cannot reach http://u:secret@a and http://u:secret@b",
    "cannot reach http://***@a and http://***@b",
  ],
  ["localhost,.example.org", "localhost,.example.org"],
];
for (const [text, masked] of texts) {
  Deno.test(`${text} is shown as ${masked}`, () => assertEquals(maskCredentials(text), masked));
}

Deno.test("paths of our own keys are shown as they are", () => {
  assertEquals(shownValue("ENROOT_DATA_PATH", "/data/a@b"), "/data/a@b");
  assertEquals(shownValue("https_proxy", "u:secret@b"), "***@b");
});
