import { assertEquals } from "@std/assert";
import { attempt, type Result, run } from "./support/command.ts";

const top = new URL("../", import.meta.url).pathname;
const uid = 12345;
const gid = 12346;

/** `tests/support/show_as.c` with the helper's own parts and sanitizers, and the helper's capability. */
class Program implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async make(): Promise<Program> {
    const program = new Program(await Deno.makeTempDir({ prefix: "zenroot-idmap-" }));
    await Deno.chmod(program.#folder, 0o755);
    const parts = ["idmap", "capability", "descriptors", "refuse"];
    await run([
      ...["gcc", "-std=c17", "-D_GNU_SOURCE", "-g", "-Wall", "-Wextra", "-Werror"],
      ...["-fsanitize=address,undefined", "-fno-sanitize-recover=all", `-I${top}helper`],
      ...["-static-libasan", "-static-libubsan", "-o", `${program.#folder}/show_as`],
      ...[`${top}tests/support/show_as.c`, ...parts.map((part) => `${top}helper/${part}.c`)],
    ]);
    await run(["setcap", "cap_sys_admin+ep", `${program.#folder}/show_as`]);
    return program;
  }

  /** Run it as a plain user, maybe by way of another program. */
  run(owner: string, group: string, before: readonly string[] = []): Promise<Result> {
    return attempt(
      [
        ...["setpriv", "--reuid", `${uid}`, "--regid", `${gid}`, "--clear-groups"],
        ...[...before, `${this.#folder}/show_as`, owner, group],
      ],
      // Finding leaks takes ptrace(2), which the program does not let anybody have.
      {
        clearEnv: true,
        env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ASAN_OPTIONS: "detect_leaks=0" },
      },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}

Deno.test({
  name: "a mount is shown as its caller's, and no process and no descriptor is left of that",
  // Capabilities are root's to give.
  ignore: Deno.uid() !== 0,
  fn: async (t) => {
    await using program = await Program.make();
    const shown = ["marked 0", ` ${uid}:${gid}`, `new ${uid}:${gid}`, "children 0", ""].join("\n");
    const good: Result = { code: 0, signal: null, stdout: shown, stderr: "" };
    await t.step("what is root's", async () => {
      assertEquals(await program.run("0", "0"), good);
    });
    await t.step("also where the caller ignores the end of children", async () => {
      const ignoring = ["sh", "-c", "trap '' CHLD; exec \"$@\"", "sh"];
      assertEquals(await program.run("0", "0", ignoring), good);
      const perl = ["perl", "-e", "$SIG{CHLD}='IGNORE'; exec @ARGV"];
      assertEquals(await program.run("0", "0", perl), good);
    });
    for (const [owner, group] of [[`${uid}`, `${gid}`], ["1", "0"], ["0", "1"]] as const) {
      await t.step(`nothing that belongs to ${owner}:${group}`, async () => {
        assertEquals(await program.run(owner, group), {
          ...{ code: 1, signal: null, stdout: "" },
          stderr: "enroot-zfs-mount: the kernel does not show it as yours\n",
        });
      });
    }
  },
});
