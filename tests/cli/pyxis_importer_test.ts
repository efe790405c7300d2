import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Bed, users } from "../support/bed.ts";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { attempt, type Result, run } from "../support/command.ts";
import { pushImage } from "../support/oci_layout.ts";
import {
  importer,
  jobEnv,
  mark,
  pyxis,
  pyxisFindsThroughImporter,
  useImporter,
} from "../support/pyxis.ts";
import { startRegistry } from "../support/registry.ts";

/** The importer on a bed, called as pyxis calls it in the steps of jobs. */
class Importer {
  private constructor(
    readonly bed: Bed,
    readonly path: string,
    readonly env: Readonly<Record<string, string>>,
  ) {}

  static async make(bed: Bed): Promise<Importer> {
    const { path, env } = await useImporter(bed);
    return new Importer(bed, path, { ...jobEnv(bed), ...env });
  }

  /** @param step `JOB.STEP`, or `JOB` for a batch script */
  call(step: string, args: readonly string[], more: Record<string, string> = {}): Promise<Result> {
    const [job = "", number] = step.split(".");
    const steps = number === undefined ? {} : { SLURM_STEP_ID: number };
    const env = { ...this.env, SLURM_JOB_ID: job, ...steps, ...more };
    const who = this.bed.uid === Deno.uid() ? {} : { uid: this.bed.uid, gid: this.bed.uid };
    return attempt([this.path, ...args], { env, clearEnv: true, cwd: this.bed.work, ...who });
  }

  /** The path that it prints, of a file that is there. */
  async get(step: string, uri: string, more?: Record<string, string>): Promise<string> {
    const { code, stdout, stderr } = await this.call(step, ["get", uri], more);
    assertEquals(code, 0, stderr);
    assertMatch(stdout, /^\/[^\n]+\n$/);
    const path = stdout.trimEnd();
    assert((await Deno.stat(path)).isFile);
    return path;
  }

  async release(step: string, more?: Record<string, string>): Promise<void> {
    const { code, stdout, stderr } = await this.call(step, ["release"], more);
    assertEquals([code, stdout, stderr], [0, "", ""]);
  }

  /** What it keeps: the names, `IMAGE` for a digest's. */
  async kept(): Promise<string[]> {
    const cache = `${this.bed.home}/.cache/enroot/pyxis`;
    return (await Array.fromAsync(Deno.readDir(cache)))
      .map(({ name }) => name.replace(/^[0-9a-f]{64}\.sqsh$/, "IMAGE")).sort();
  }

  /** What the steps have for themselves in the folder of pyxis. */
  async own(): Promise<string[]> {
    const { stdout } = await attempt(["find", this.env["PYXIS_RUNTIME_PATH"] ?? "", "-type", "f"]);
    return stdout.split("\n").filter((line) => line !== "");
  }
}

async function inode(path: string): Promise<number | null> {
  return (await Deno.stat(path)).ino;
}

Deno.test("shellcheck finds nothing in the importer", async () => {
  await run(["shellcheck", importer]);
});

for (const user of users) {
  Deno.test(`what pyxis does with the importer, as ${user}`, async (t) => {
    await using registry = await startRegistry();
    await using bed = await Bed.make(user);
    const its = await Importer.make(bed);
    const image = `127.0.0.1:${registry.port}/team/image:1`;
    const uri = `docker://${image}`;
    const push = async (text: string): Promise<void> => {
      await makeBusyboxImage(`${bed.temp}/layout`, "x", { mark: text });
      await pushImage(`${bed.temp}/layout`, "x", image);
      await Deno.remove(`${bed.temp}/layout`, { recursive: true });
    };
    await push(mark);
    let first: number | null = null;

    await t.step("a container comes through it, call for call", async () => {
      const env = { ...its.env, SLURM_STEP_ID: "0" };
      const { code, stdout, stderr } = await pyxis(bed, "pyxis_7.0", uri, env, its.path);
      const expected = pyxisFindsThroughImporter("pyxis_7.0", uri);
      assertEquals([code, stderr, stdout], [0, "", expected]);
      assertEquals([await its.kept(), await its.own()], [["IMAGE"], []]);
    });

    await t.step("jobs share one file, and each has it until it releases it", async () => {
      const paths = await Promise.all(["8.0", "8.1", "9"].map((step) => its.get(step, uri)));
      assertEquals(new Set(paths).size, 3);
      const [one = null, ...others] = await Promise.all(paths.map(inode));
      assertEquals(others, [one, one]);
      first = one;
      await its.release("8.0");
      assertEquals((await its.kept()).length, 3);
      for (const step of ["8.1", "9", "9"]) await its.release(step);
      assertEquals(await its.kept(), ["IMAGE"]);
    });

    await t.step("a job that is requeued finds what it left in no way", async () => {
      await its.get("8.0", uri);
      assertEquals(await inode(await its.get("8.0", uri)), first);
      await its.release("8.0");
    });

    await t.step(
      "when a tag means another image, it is that; a digest stays what it was",
      async () => {
        const digest = (await bed.succeed(["digest", uri])).trim();
        await push("another\n");
        assert(await inode(await its.get("10.0", uri)) !== first);
        assertEquals(await inode(await its.get("11.0", `${uri}@${digest}`)), first);
        for (const step of ["10.0", "11.0"]) await its.release(step);
        assertEquals(await its.kept(), ["IMAGE", "IMAGE"]);
      },
    );

    await t.step("jobs that want a new image at once have it made once", async () => {
      await push("a third one\n");
      const steps = ["20.0", "21.0", "22.0"];
      const results = await Promise.all(steps.map((step) => its.call(step, ["get", uri])));
      assertEquals(results.map(({ code }) => code), [0, 0, 0]);
      const written = results.filter(({ stderr }) => stderr.includes("Writing "));
      assertEquals(written.length, 1, results.map(({ stderr }) => stderr).join("\n"));
      assertEquals(
        new Set(await Promise.all(results.map(({ stdout }) => inode(stdout.trimEnd())))).size,
        1,
      );
      for (const step of steps) await its.release(step);
      assertEquals(await its.kept(), ["IMAGE", "IMAGE", "IMAGE"]);
    });

    await t.step(
      "what nobody asked for in a while goes, and never from a job that has it",
      async () => {
        const path = await its.get("30.0", uri);
        const cache = path.slice(0, path.lastIndexOf("/"));
        await Deno.writeTextFile(`${cache}/node.1.0.link`, "");
        for await (const { name } of Deno.readDir(cache)) {
          const hoursAgo = (hours: number): number => Date.now() / 1000 - hours * 3600;
          await Deno.utime(
            `${cache}/${name}`,
            hoursAgo(3),
            hoursAgo(name === "node.1.0.link" ? 50 : 3),
          );
        }
        await its.release("31.0", { ENROOT_TEMPLATE_WARM_SECONDS: "inf" });
        await its.release("31.0", { ENROOT_TEMPLATE_WARM_SECONDS: "86400" });
        assertEquals((await its.kept()).filter((name) => name === "IMAGE").length, 3);
        await its.release("31.0", { ENROOT_TEMPLATE_WARM_SECONDS: "3600" });
        assertEquals(await its.kept(), [path.slice(cache.length + 1)]);
        await bed.succeed(["create", "--name", "late", path], { env: { ...its.env } });
        await its.release("30.0");
        assertEquals(await its.kept(), []);
      },
    );

    await t.step(
      "nothing is kept when nothing is to be, and then the file is the step's own",
      async () => {
        const never = { ENROOT_TEMPLATE_WARM_SECONDS: "0" };
        const path = await its.get("40.0", uri, never);
        assertEquals(path, `${its.env["PYXIS_RUNTIME_PATH"]}/${bed.uid}/40.0.sqsh`);
        assertEquals([await its.kept(), await its.own()], [[], [path]]);
        await its.release("40.0", never);
        assertEquals(await its.own(), []);
      },
    );

    await t.step("what cannot be had is said, and leaves nothing", async () => {
      const { code, stdout, stderr } = await its.call("50.0", ["get", `${uri}0`]);
      assertEquals([code, stdout], [1, ""]);
      assertMatch(stderr, /^\[ERROR\] .*team\/image:10/m);
      await its.release("50.0");
      assertEquals([await its.kept(), await its.own()], [[], []]);
    });

    await t.step("a call that is not of pyxis says so", async () => {
      const bad: [args: string[], env: Record<string, string>, why: string][] = [
        [[], {}, "Usage: "],
        [["get"], {}, "Usage: "],
        [["release", uri], {}, "Usage: "],
        [["release"], { SLURM_JOB_ID: "../x" }, "SLURM_JOB_ID is '../x', which is no number"],
        [["release"], { SLURM_STEP_ID: "" }, "SLURM_STEP_ID is '', which is no number"],
        [["get", uri], { PYXIS_RUNTIME_PATH: "" }, "PYXIS_RUNTIME_PATH is no path"],
      ];
      for (const [args, env, why] of bad) {
        const { code, stdout, stderr } = await its.call("60.0", args, env);
        assertEquals([code, stdout], [1, ""], why);
        assertStringIncludes(stderr, why);
      }
    });
  });
}
