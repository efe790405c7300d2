import { assertEquals, assertRejects } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { parseList, readList } from "./prewarm_list.ts";

const first = "docker://registry-1.docker.io/library/a:latest";

const lists: [what: string, text: string, lines: [line: number, name: string, ok: boolean][]][] = [
  ["nothing", "", []],
  ["comments and empty lines", "# docker://a\n\n   \n\t# b\n", []],
  ["a last line without an end, and blanks around", "\n  docker://a\t", [[2, first, true]]],
  ["lines that end as on Windows", "docker://a\r\ndocker://b\r\n", [
    [1, first, true],
    [2, first.replace("/a:", "/b:"), true],
  ]],
  ["a registry before a number sign, which begins no comment", "docker://r.io:5000#a/b:1", [
    [1, "docker://r.io:5000/a/b:1", true],
  ]],
  ["one image by two names of it, once", "docker://a\ndocker://docker.io/library/a:latest", [
    [1, first, true],
  ]],
  ["what is no image, among others", "ubuntu\ndocker://a\ndocker://a # newest", [
    [1, "ubuntu", false],
    [2, first, true],
    [3, "docker://a # newest", false],
  ]],
];
for (const [what, text, lines] of lists) {
  Deno.test(`a list of ${what}`, () => {
    const found = parseList(text).map(({ line, name, uri, problem }) => [
      ...[line, name, uri !== undefined && problem === undefined],
    ]);
    assertEquals(found, lines);
  });
}

Deno.test("one image as two users is two", () => {
  assertEquals(parseList("docker://x@r.io/a\ndocker://y@r.io/a\ndocker://x@r.io/a").length, 2);
});

Deno.test("a password in a line that is no image is not told", () => {
  const [image] = parseList("docker://u:secret@r.io/a");
  assertEquals([image?.name, image?.uri], ["docker://u:…@r.io/a", undefined]);
  assertEquals(image?.problem?.message.includes("secret"), false);
});

Deno.test("a list that is not there is named", async () => {
  const error = await assertRejects(() => readList("/nonexistent/list"), EnrootError);
  assertEquals([error.code, error.message.includes("/nonexistent/list")], ["cannot-read", true]);
});
