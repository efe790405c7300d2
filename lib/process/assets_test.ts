import { assert, assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { defaultsPath, executableForm, helperPath, selfCommand, workerUrl } from "./assets.ts";

// The other forms are tested by running the executable: tests/compile_test.ts.

Deno.test("run from source, every part is found in the tree", async () => {
  assertEquals(executableForm(), "source");
  assert((await Deno.stat(workerUrl("apply_layer"))).isFile);
  assert((await Deno.stat(`${defaultsPath()}/mounts.d`)).isDirectory);
});

Deno.test("run from source, selfCommand starts this very program", async () => {
  const [program = "", ...args] = selfCommand();
  const { stdout, success } = await new Deno.Command(program, { args: [...args, "version"] })
    .output();
  assert(success);
  const { version } = JSON.parse(
    await Deno.readTextFile(new URL("../../deno.json", import.meta.url)),
  );
  assertEquals(new TextDecoder().decode(stdout), `${version}\n`);
});

Deno.test("a helper that is not there is named, with what to do", () => {
  const missing = "enroot-nothing" as "enroot-nsenter";
  const error = assertThrows(() => helperPath(missing), EnrootError, "`deno task helper`");
  assertEquals(error.code, "helper-missing");
});
