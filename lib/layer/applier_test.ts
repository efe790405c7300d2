import { assertEquals } from "@std/assert";
import { attempt } from "../../tests/support/command.ts";
import { file, Place } from "../../tests/support/layer_place.ts";
import { rawArchive } from "../../tests/support/raw_tar.ts";

const script = new URL("../../tests/support/apply_layer_main.ts", import.meta.url).pathname;

Deno.test("applier: a file whose close(2) fails fails the layer, as a full quota on NFS has it", async () => {
  using place = new Place();
  const { file: { path } } = await place.request(
    rawArchive(file("before", "x"), file("victim", "y"), file("after", "z")),
  );
  const victim = `${place.root}/victim`;
  const answers = [];
  for (const fault of [[], ["-e", "inject=close:error=EDQUOT"]]) {
    await Deno.remove(victim).catch(() => {});
    const strace = ["strace", "-f", "-o", "/dev/null", "-P", victim, "-e", "trace=close", ...fault];
    const deno = [Deno.execPath(), "run", "-A", "--no-check", "--no-lock", script];
    const { code, stdout, stderr } = await attempt([...strace, ...deno, place.root, path]);
    assertEquals(code, 0, stderr);
    answers.push(JSON.parse(stdout));
  }
  assertEquals(answers, [
    { summary: { entries: 3, tarSize: 4096, skippedDevices: 0, skippedXattrs: 0 } },
    { code: "EDQUOT", message: `${victim}: Disk quota exceeded (close)` },
  ]);
});
