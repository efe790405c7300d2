import { assertEquals, assertMatch } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { checkFuse, checkPrograms } from "./programs.ts";

function without(...missing: string[]): (program: string) => string {
  return (program) => {
    if (missing.includes(program)) throw new EnrootError("program-missing", program);
    return `/usr/bin/${program}`;
  };
}

Deno.test("a program that commands need is a failure, one for some of them a warning", () => {
  for (
    const [backend, program, status] of [
      ["dir", "mksquashfs", "fail"],
      ["zfs", "bash", "fail"],
      ["zfs", "zfs", "fail"],
      ["dir", "squashfuse", "warn"],
      ["zfs", "ssh", "warn"],
    ] as const
  ) {
    const found = checkPrograms(backend, without(program));
    assertEquals(found.filter((each) => each.status !== "ok").map(({ name }) => name), [program]);
    const one = found.find(({ name }) => name === program);
    assertEquals(one?.status, status);
    assertMatch(one?.remedy ?? "", /Debian's package/);
  }
  assertEquals(checkPrograms("dir", without("zfs")).every(({ status }) => status === "ok"), true);
});

Deno.test("fuse is there, missing or closed", () => {
  assertEquals(checkFuse("/dev/null").status, "ok");
  assertMatch(checkFuse("/dev/no-such-device").remedy ?? "", /modprobe fuse/);
});
