import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { CommandError, findProgram, run, runBriefly } from "./run.ts";

Deno.test("arguments reach a program as they are, and its output comes back", async () => {
  const words = ["a b", "$HOME", "'", "", "*", "\n"];
  assertEquals(await run(["printf", "%s|", ...words]), words.map((word) => `${word}|`).join(""));
});

Deno.test("a program gets the environment it is given and no more", async () => {
  const output = await run(["env"], { environment: { A: "1", PATH: "/usr/bin:/bin" } });
  assertEquals(output.trim().split("\n").sort(), ["A=1", "LC_ALL=C", "PATH=/usr/bin:/bin"]);
});

Deno.test("a failure says what the program said, in one line", async () => {
  const error = await assertRejects(
    () => run(["sh", "-c", "echo first >&2; echo second >&2; exit 3"]),
    CommandError,
  );
  assertEquals([error.exitCode, error.stderr], [3, "first\nsecond\n"]);
  assertEquals(error.message, "sh failed with exit code 3: first; second");
});

Deno.test("of endless messages the end is kept", async () => {
  const text = "yes x | head -c 3000000 >&2; echo last >&2; exit 1";
  const error = await assertRejects(() => run(["sh", "-c", text]), CommandError, "last");
  assert(error.stderr.length <= 16_384);
});

Deno.test("input is fed, also to a program that does not read it", async () => {
  const input = new TextEncoder().encode("x".repeat(500_000));
  assertEquals((await run(["cat"], { input })).length, 500_000);
  assertEquals(await run(["true"], { input }), "");
});

Deno.test("output is handed on as it comes", async () => {
  let text = "";
  assertEquals(await run(["printf", "a\\nb"], { onText: (part) => void (text += part) }), "");
  assertEquals(text, "a\nb");
});

Deno.test("characters that arrive in parts come out whole", async () => {
  const text = "printf '\\303'; sleep 0.1; printf '\\274x'; printf '\\303'";
  assertEquals(await run(["sh", "-c", text]), "üx\ufffd");
});

Deno.test("a program is ended by the signal, and waited for", async () => {
  const abort = new AbortController();
  const reason = new Error("enough");
  setTimeout(() => abort.abort(reason), 100);
  const began = performance.now();
  const error = await assertRejects(() => run(["sleep", "60"], { signal: abort.signal }));
  assertEquals(error, reason);
  assert(performance.now() - began < 30_000);
});

Deno.test("what an ended program leaves behind is not waited for", async () => {
  const began = performance.now();
  const signal = AbortSignal.timeout(200);
  await assertRejects(() => run(["sh", "-c", "sleep 15; true"], { signal }));
  await assertRejects(() => run(["sh", "-c", "sleep 15 &"], { signal: AbortSignal.timeout(200) }));
  assert(performance.now() - began < 10_000);
});

Deno.test("a program in the background that holds standard error does not hold up the result", async () => {
  const began = performance.now();
  assertEquals(await run(["sh", "-c", "sleep 15 > /dev/null & echo done"]), "done\n");
  assert(performance.now() - began < 10_000);
});

Deno.test("a program that does not mind SIGTERM is killed", async () => {
  const began = performance.now();
  const text = "trap '' TERM; while :; do sleep 0.1; done";
  const signal = AbortSignal.timeout(200);
  await assertRejects(() => run(["sh", "-c", text], { signal }));
  const took = performance.now() - began;
  assert(took > 4_000 && took < 15_000, `${took}`);
});

Deno.test("a program ends when its output is no longer wanted", async () => {
  const began = performance.now();
  const enough = (): never => {
    throw new Error("enough");
  };
  await assertRejects(() => run(["yes"], { onText: enough }), Error, "enough");
  assert(performance.now() - began < 10_000);
});

Deno.test("a program that a signal ended is said to be", async () => {
  const error = await assertRejects(() => run(["sh", "-c", "kill -9 $$"]), CommandError);
  assertEquals(error.message, "sh was ended by SIGKILL");
  assertEquals([error.exitCode, error.signal], [137, "SIGKILL"]);
});

Deno.test("a program that cannot be started is named, with the reason", async () => {
  const error = await assertRejects(() => run(["true"], { cwd: "/nonexistent" }), EnrootError);
  assertEquals(error.code, "command-failed");
  assert(/\/true: .*\/nonexistent/.test(error.message), error.message);
});

Deno.test("a program that is not there is named, with the package that brings it", () => {
  const environment = { PATH: "/nonexistent::." };
  const error = assertThrows(() => findProgram("squashfuse", environment), EnrootError);
  assertEquals([error.code, error.message.includes("install squashfuse")], [
    "program-missing",
    true,
  ]);
  assertThrows(() => findProgram("no-such-program-x", environment), EnrootError, "not installed");
});

Deno.test("programs are found in sbin, and never in the current folder", async () => {
  const folder = await Deno.makeTempDir();
  const back = Deno.cwd();
  try {
    await Deno.writeTextFile(`${folder}/evil`, "#!/bin/sh\n", { mode: 0o755 });
    Deno.chdir(folder);
    for (const PATH of ["", ".", ":", "x:."]) {
      assertThrows(() => findProgram("evil", { PATH }), EnrootError, "not installed");
    }
  } finally {
    Deno.chdir(back);
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a brief program gives its output, and a failure all that it said", async () => {
  assertEquals(await runBriefly(["/bin/sh", "-c", 'echo "$A $LC_ALL"'], { A: "a" }), "a C\n");
  const error = await assertRejects(
    () => runBriefly(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"], {}),
    CommandError,
  );
  assertEquals([error.exitCode, error.stdout, error.stderr], [3, "out\n", "err\n"]);
  const missing = await assertRejects(() => runBriefly(["no-such-program"], {}), EnrootError);
  assertEquals(missing.code, "program-missing");
});
