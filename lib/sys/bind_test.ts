import { assertEquals, assertThrows } from "@std/assert";
import { bindLibc } from "./bind.ts";

Deno.test("a function is bound at its first use, and bound anew when it is called often", () => {
  const libc = bindLibc({ getpid: { parameters: [], result: "i32" } });
  assertEquals(libc.getpid(), Deno.pid);
  const { getpid } = libc;
  assertEquals(getpid(), Deno.pid);
  assertEquals(libc.getpid === getpid, true);
  for (let count = 0; count < 200; count++) assertEquals(libc.getpid(), Deno.pid);
  // It was called often, so it was compiled; whoever has the other one can still call it.
  assertEquals(libc.getpid === getpid, false);
  assertEquals(getpid(), Deno.pid);
});

Deno.test("one that is not there fails when it is used, or is null when it may be missing", () => {
  const libc = bindLibc({
    no_such_function: { parameters: [], result: "i32" },
    nor_this: { parameters: [], result: "i32", optional: true },
  });
  assertEquals(libc.nor_this, null);
  assertThrows(() => libc.no_such_function(), Error, "no_such_function");
});
