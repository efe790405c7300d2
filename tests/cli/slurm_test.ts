import { assert, assertEquals, assertMatch } from "@std/assert";
import { Box } from "../support/box.ts";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { pushImage } from "../support/oci_layout.ts";
import {
  jobEnv,
  mark,
  pyxisArgv,
  pyxisFinds,
  pyxisFindsThroughImporter,
  useImporter,
} from "../support/pyxis.ts";
import { openRandomImage } from "../support/random_image.ts";
import { startSlowProxy } from "../support/slow_proxy.ts";
import { startSlurm } from "../support/slurm.ts";

const hooks = new URL("../../packaging/etc/hooks.extra.d/", import.meta.url);
const pmi = "50-slurm-pmi.sh";

// Only root starts a Slurm; the jobs are a plain user's.
Deno.test({ name: "jobs of a real Slurm", ignore: Deno.uid() !== 0 }, async (t) => {
  await using stack = new AsyncDisposableStack();
  const box = stack.use(await Box.make("plain user"));
  const { bed } = box;
  const slurm = stack.use(await startSlurm(bed.uid));
  const registry = stack.use(await openRandomImage([4]));
  const image = `127.0.0.1:${registry.port}/team/image:1`;
  await makeBusyboxImage(`${bed.temp}/layout`, "x", { mark });
  await pushImage(`${bed.temp}/layout`, "x", image);
  await Deno.remove(`${bed.temp}/layout`, { recursive: true });
  const job = { env: jobEnv(bed), cwd: bed.work };
  const mounts = await slurm.mounts();

  /** Run something as a job, or as this many tasks of one. */
  const srun = (argv: readonly string[], ...options: string[]) =>
    slurm.run(["srun", ...options, ...argv], job);
  const start = (text: string, ...options: string[]): string[] => {
    return [bed.executable, "start", ...options, "box", "sh", "-c", text];
  };

  async function leavesNothing(): Promise<void> {
    let left: string[] = [];
    for (const deadline = Date.now() + 60_000; Date.now() < deadline;) {
      left = await slurm.processes();
      if (left.length === 0) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assertEquals(left, []);
    assertEquals(await slurm.mounts(), mounts);
  }

  await t.step("a job does what pyxis does, call for call", async () => {
    const argv = await pyxisArgv(bed, "pyxis_1", `docker://${image}`);
    const { code, stdout, stderr } = await srun(argv);
    const [, id] = /^job (\d+)$/m.exec(stdout) ?? [];
    assertEquals([code, stderr, stdout], [0, "", pyxisFinds("pyxis_1", image, id)]);
    await leavesNothing();
  });

  await t.step("steps and batch scripts do it through the importer", async () => {
    const uri = `docker://${image}`;
    const importer = await useImporter(bed);
    const argv = await pyxisArgv(bed, "pyxis_2", uri, importer.path);
    const script = await box.file("through", '#!/bin/sh\nsrun "$@" && exec "$@"\n');
    const options = ["--parsable", "--output=through.out", script];
    const { stdout } = await slurm.run(["sbatch", ...options, ...argv], {
      ...job,
      env: { ...job.env, ...importer.env },
    });
    const id = stdout.trim();
    await until(async () => {
      return (await slurm.run(["squeue", "--noheader", `--jobs=${id}`], job)).stdout === "";
    });
    const expected = pyxisFindsThroughImporter("pyxis_2", uri, id);
    assertEquals(await Deno.readTextFile(`${bed.work}/through.out`), expected + expected);
    const kept = [...Deno.readDirSync(`${bed.home}/.cache/enroot/pyxis`)].map(({ name }) => name);
    assertMatch(kept.join(" "), /^[0-9a-f]{64}\.sqsh$/);
    await Deno.remove(`${bed.work}/through.out`);
    await leavesNothing();
  });

  await t.step("a batch job does it in its steps", async () => {
    const script = await box.file(
      "batch",
      `#!/bin/bash
set -e
"$1" import --output batch.sqsh "docker://$2"
"$1" create --name batch batch.sqsh
echo "job $SLURM_JOB_ID"
srun "$1" start -e SLURM_STEP_ID batch cat /mark
code=0; srun "$1" start batch sh -c "exit 9" || code=$?
"$1" remove -f batch
exit "$code"
`,
    );
    const sbatch = ["sbatch", "--parsable", "--output=batch.out", script, bed.executable, image];
    const id = (await slurm.run(sbatch, job)).stdout.trim();
    let shown = "";
    await until(async () => {
      shown = (await slurm.run(["scontrol", "show", "job", id], job)).stdout;
      return / JobState=(COMPLETED|FAILED) /.test(shown.replaceAll("\n", " "));
    });
    const said = await Deno.readTextFile(`${bed.work}/batch.out`);
    assertMatch(shown, / ExitCode=9:0$/m, said);
    assertMatch(said, new RegExp(`^job ${id}\ninside\n`, "m"));
    assertEquals(await bed.succeed(["list"]), "box\n");
    await leavesNothing();
  });

  await t.step("exit codes and signals come through srun", async () => {
    for (const [text, expected] of [["true", 0], ["exit 7", 7], ["kill -TERM $$", 143]] as const) {
      for (const options of [[], ["--pid"]]) {
        const { code, stderr } = await srun(start(text, ...options));
        assertEquals(code, expected, `${text} ${options}: ${stderr}`);
      }
    }
    const { code } = await srun([bed.executable, "start", "none", "true"]);
    assertEquals(code, 1);
  });

  await t.step("standard input and output are those of srun", async () => {
    const { code, stdout } = await slurm.run(
      ["sh", "-c", 'echo to the task | srun "$@"', "sh", ...start("cat")],
      job,
    );
    assertEquals([code, stdout], [0, "to the task\n"]);
  });

  await t.step("what Slurm sets arrives when it is asked for, and only then", async () => {
    const text = 'echo "$SLURM_JOB_ID|$SLURM_PROCID|$SLURM_NTASKS"';
    assertEquals((await srun(start(text))).stdout, "||\n");
    const { stdout } = await srun(start(text, "-e", "SLURM_NTASKS"), "-n2");
    assertEquals(stdout, "||2\n||2\n");

    const hook = await Deno.readTextFile(new URL(pmi, hooks));
    await box.configure("system", `hooks.d/${pmi}`, hook);
    const tasks = (await srun(start(text), "-n3")).stdout.trim().split("\n").sort();
    const [, id] = /^(\d+)\|/.exec(tasks[0] ?? "") ?? [];
    assertEquals(tasks, ["0", "1", "2"].map((rank) => `${id}|${rank}|3`));
    assertEquals((await bed.enroot(["start", "box", "sh", "-c", text])).stdout, "||\n");
  });

  await t.step("the descriptor of PMI reaches the command in the container", async () => {
    // What a library of MPI says first, and what Slurm answers.
    const text = 'echo "cmd=init pmi_version=1 pmi_subversion=1" >&"$PMI_FD"; ' +
      'read -r line <&"$PMI_FD"; echo "rank $PMI_RANK of $PMI_SIZE: $line"';
    const { code, stdout, stderr } = await srun(start(text), "--mpi=pmi2", "-n2");
    assertEquals(code, 0, stderr);
    const lines = stdout.trim().split("\n").sort();
    for (const [rank, line] of lines.entries()) {
      assertMatch(line, new RegExp(`^rank ${rank} of 2: cmd=response_to_init .*rc=0`));
    }
    assertEquals(lines.length, 2);
  });

  const kinds: [what: string, options: string[], before: string][] = [
    ["a container", [], ""],
    ["a container with a process namespace", ["--pid"], ""],
    ["a container with all it can have", ["--root", "--rw", "--net", "--ipc", "--uts"], ""],
    ["a container that ignores SIGTERM", [], 'trap "" TERM; '],
  ];
  for (const [what, options, before] of kinds) {
    await t.step(`scancel ends ${what}`, async () => {
      const text = `${before}sleep 600 & echo "up $SLURM_JOB_ID"; sleep 600`;
      const child = slurm.start(
        ["srun", ...start(text, ...options, "-e", "SLURM_JOB_ID")],
        job,
      );
      const stderr = new Response(child.stderr).text();
      const [reader, id] = await firstWord(child, /^up (\d+)\n/);
      assertMatch((await slurm.processes()).join("\n"), /sleep/);
      assertEquals((await slurm.run(["scancel", id], job)).code, 0);
      const { code } = await child.status;
      await reader.cancel();
      assert(code !== 0, await stderr);
      await leavesNothing();
      // It is there, and nothing runs in it.
      assertMatch(await bed.succeed(["list", "-f"]), /\nbox *\n$/);
      assertEquals((await srun(start("echo again"))).stdout, "again\n");
    });
  }

  await t.step("scancel in the middle of an import leaves nothing of it", async () => {
    const before = await bed.contents();
    await using proxy = startSlowProxy(registry.port, { bytesPerSecond: 200_000 });
    const uri = `docker://127.0.0.1:${proxy.port}/${registry.name}`;
    const output = ["import", "--output", "big.sqsh"];
    const child = slurm.start(["srun", bed.executable, ...output, uri], job);
    const ended = child.output();
    await until(() => Promise.resolve(proxy.bytes > 600_000));
    const { stdout: id } = await slurm.run(
      ["squeue", "--noheader", "--states=R", "--format=%i"],
      job,
    );
    assertEquals((await slurm.run(["scancel", id.trim()], job)).code, 0);
    const { stderr } = await ended;
    assertMatch(new TextDecoder().decode(stderr), /: Terminated$/m);
    await leavesNothing();
    assertEquals(await bed.contents(), before);
  });
});

/** Wait for what a process says first. */
async function firstWord(
  child: Deno.ChildProcess,
  pattern: RegExp,
): Promise<[ReadableStreamDefaultReader<string>, string]> {
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  for (let said = "";;) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`it ended, and said: ${said}`);
    said += value;
    const [, word] = pattern.exec(said) ?? [];
    if (word !== undefined) return [reader, word];
  }
}

/** Wait until something holds. @throws {Error} after a minute */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000; !await holds();) {
    if (Date.now() > deadline) throw new Error("waited a minute in vain");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
