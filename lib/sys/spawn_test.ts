import { assertEquals, assertThrows } from "@std/assert";
import { SysError } from "./libc.ts";
import { runToEnd } from "./spawn.ts";

const ends: [text: string, end: ReturnType<typeof runToEnd>][] = [
  ["exit 0", { exitCode: 0 }],
  ["exit 255", { exitCode: 255 }],
  ["kill -TERM $$", { signal: 15 }],
  ["kill -KILL $$", { signal: 9 }],
  // yes ends by SIGPIPE, unless that is ignored.
  ["yes | head -n 1 > /dev/null; exit ${PIPESTATUS[0]}", { exitCode: 141 }],
  ["read -r line; exit $?", { exitCode: 1 }],
  ['test "$A|$#|$1|${HOME-none}" = "x y|1|b c|none"', { exitCode: 0 }],
  ["test /proc/self/fd/1 -ef /proc/self/fd/2", { exitCode: 0 }],
];
for (const [text, end] of ends) {
  Deno.test(`'${text}' ends with ${JSON.stringify(end)}`, () => {
    const argv = ["bash", "-c", text, "bash", "b c"];
    assertEquals(runToEnd("/bin/bash", argv, { A: "x y", PATH: "/usr/bin:/bin" }), end);
  });
}

Deno.test("a program that cannot be started says why", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const script = `${folder}/script`;
    await Deno.writeTextFile(script, "#!/nonexistent\n", { mode: 0o755 });
    for (const path of [`${folder}/none`, script]) {
      const error = assertThrows(() => runToEnd(path, ["x"], {}), SysError);
      assertEquals([error.code, error.subject], ["ENOENT", path]);
    }
    await Deno.writeTextFile(script, "echo no interpreter line\n");
    assertEquals(assertThrows(() => runToEnd(script, ["x"], {}), SysError).code, "ENOEXEC");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
