import { assertEquals, assertThrows } from "@std/assert";
import { close } from "./at.ts";
import { sealProgram } from "./sealed_program.ts";

Deno.test("a sealed program has the file's content, and nobody can change it", () => {
  const file = sealProgram("/bin/true");
  try {
    const path = `/proc/self/fd/${file}`;
    assertEquals(Deno.readFileSync(path), Deno.readFileSync("/bin/true"));
    for (
      const change of [
        () => Deno.writeTextFileSync(path, "x"),
        () => Deno.writeTextFileSync(path, "x", { append: true }),
        () => {
          using open = Deno.openSync(path, { write: true });
          open.truncateSync(0);
        },
      ]
    ) {
      assertThrows(change, Error, "Operation not permitted");
    }
    assertEquals(new Deno.Command(path).outputSync().code, 0);
  } finally {
    close(file);
  }
});
