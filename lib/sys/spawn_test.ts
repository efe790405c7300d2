import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SysError } from "./libc.ts";
import { collectOutput, runToEnd } from "./spawn.ts";

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

Deno.test("what programs print is collected, of many at once", async () => {
  const script = 'head -c 300000 /dev/zero | tr "\\0" x; echo "$1" >&2; exit $1';
  const codes = Array.from({ length: 20 }, (_, index) => index);
  const ends = await Promise.all(
    codes.map((code) =>
      collectOutput("/bin/sh", ["sh", "-c", script, "sh", String(code)], { PATH: "/usr/bin:/bin" })
    ),
  );
  for (const [index, { exitCode, stdout, stderr }] of ends.entries()) {
    assertEquals([exitCode, stdout.length], [index, 300000]);
    assertEquals(new TextDecoder().decode(stderr), `${index}\n`);
  }
  const { signal, stdout } = await collectOutput("/bin/sh", ["sh", "-c", "echo x; kill -9 $$"], {});
  assertEquals([signal, new TextDecoder().decode(stdout)], [9, "x\n"]);
  const missing = await assertRejects(() => collectOutput("/nonexistent", ["x"], {}), SysError);
  assertEquals(missing.code, "ENOENT");
});

Deno.test("nothing of it stays open", async () => {
  const open = (): number => [...Deno.readDirSync("/proc/self/fd")].length;
  await collectOutput("/bin/true", ["true"], {});
  const before = open();
  for (let count = 0; count < 10; count++) await collectOutput("/bin/true", ["true"], {});
  assertEquals(open(), before);
});
