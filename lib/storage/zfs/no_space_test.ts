import { assertEquals } from "@std/assert";
import { EnrootError } from "../../errors.ts";
import { SysError } from "../../sys/libc.ts";
import { isNoSpace } from "./no_space.ts";

const cases: readonly (readonly [unknown, boolean])[] = [
  [new SysError("write", 28, "file"), true],
  [new SysError("write", 122, "file"), true],
  [new SysError("write", 13, "file"), false],
  [new Error("Disk quota exceeded (os error 122)"), true],
  [new EnrootError("x", "cannot write", { cause: new Error("(os error 28)") }), true],
  [new EnrootError("ENOSPC", "from a worker"), true],
  [new EnrootError("not-found", "no such image"), false],
  ["text", false],
];
for (const [error, expected] of cases) {
  Deno.test(`'${error}' is ${expected ? "" : "not "}want of room`, () => {
    assertEquals(isNoSpace(error), expected);
  });
}
