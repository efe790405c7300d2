import { assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { parseLibraries } from "./program.ts";

Deno.test("the loader's list gives each library by the name it is looked for, and the loader", () => {
  const list = "\tlinux-vdso.so.1 (0x00007ffd0d5f2000)\n" +
    "\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f0000000000)\n" +
    "\tlibc.so.6 => /opt/my libs/libc.so.6 (0x00007f0000000000)\n" +
    "\tlibdl.so.2 => /lib/libdl.so.2 (0x00007f0000000000)\n" +
    "\t/lib64/ld-linux-x86-64.so.2 (0x00007f0000000000)\n";
  assertEquals(parseLibraries(list.replace("my libs", "mine")), [
    ["libc/libm.so.6", "/lib/x86_64-linux-gnu/libm.so.6"],
    ["libc/libc.so.6", "/opt/mine/libc.so.6"],
    ["libc/libdl.so.2", "/lib/libdl.so.2"],
    ["libc/loader", "/lib64/ld-linux-x86-64.so.2"],
  ]);
});

Deno.test("a list without a loader, or with a library that is not there, is refused", () => {
  for (
    const [list, why] of [
      ["", "the dynamic loader of this system is not known"],
      ["\tstatically linked\n", "the dynamic loader of this system is not known"],
      ["\tlibx.so.1 => not found\n\t/lib64/ld.so (0x0)\n", "the library libx.so.1 is not there"],
    ] as const
  ) assertThrows(() => parseLibraries(list), EnrootError, why);
});
