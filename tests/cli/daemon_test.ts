import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Bed } from "../support/bed.ts";
import { attempt, run } from "../support/command.ts";
import { startDockerd } from "../support/dockerd.ts";
import {
  archiveBytes,
  docker25,
  dockerContainerd,
  gzip,
  inspectOf,
  makeImage,
  makeLayer,
  podman as podmanShape,
} from "../support/engine_archive.ts";
import { FakeEngine } from "../support/fake_engine.ts";
import { openToAll } from "../support/fixture.ts";
import { pushImage } from "../support/oci_layout.ts";
import { makePodman } from "../support/podman.ts";
import { startRegistry } from "../support/registry.ts";
import { makeSampleImage } from "../support/sample_image.ts";
import { assertSameTree, type DescribeOptions, describeTree } from "../support/tree.ts";

/** `/etc/rc` says where an image came from; the rest is the same. */
const options: DescribeOptions = {
  without: ["etc/rc", ".lock"],
  ignoreMtimeOf: ["etc"],
  nanoseconds: true,
  owners: true,
};
const isRoot = Deno.uid() === 0;

/** The sample image in a layout and in a registry, as engines can have it. */
async function withSample(use: (layout: string, name: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "zenroot-engines-" });
  try {
    await makeSampleImage(`${folder}/layout`, { forEngines: true });
    await openToAll(folder);
    await using registry = await startRegistry();
    const name = `127.0.0.1:${registry.port}/team/sample:1.0`;
    await pushImage(`${folder}/layout`, "sample", name);
    await use(`${folder}/layout`, name);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test({
  name: "images of a Docker daemon and of podman",
  ignore: !isRoot,
  async fn(t) {
    await withSample(async (layout, name) => {
      await using bed = await Bed.make("root");
      await using dockerd = await startDockerd();
      await using storage = await makePodman();
      await dockerd.docker("pull", "--quiet", name);
      await storage.podman("pull", "--quiet", "--tls-verify=false", name);
      const env = { ...dockerd.env, ...storage.env };
      await bed.succeed(["load", "-n", "expected", `oci:${layout}:sample`]);
      const expected = await describeTree(`${bed.data}/expected`, options);

      for (const scheme of ["dockerd", "podman"]) {
        await t.step(`load ${scheme}:// gives the tree that oci: gives`, async () => {
          await bed.succeed(["load", "-n", scheme, `${scheme}://${name}`], { env });
          const tree = await describeTree(`${bed.data}/${scheme}`, options);
          assertSameTree(tree, expected, `${scheme}:// does not give what oci: gives`);
          assertStringIncludes(
            await Deno.readTextFile(`${bed.data}/${scheme}/etc/rc`),
            `# enroot-provenance: ${scheme}://${name}\n`,
          );
        });

        await t.step(`import ${scheme}:// writes a squashfs of the same tree`, async () => {
          await bed.succeed(["import", `${scheme}://${name}`], { env });
          const file = `${name.replaceAll(/[/:]/g, "+")}.sqsh`;
          await bed.succeed(["create", "-n", `${scheme}-created`, file]);
          const seconds = { ...options, nanoseconds: false };
          assertSameTree(
            await describeTree(`${bed.data}/${scheme}-created`, seconds),
            await describeTree(`${bed.data}/expected`, seconds),
            "the squashfs is another image",
          );
          await Deno.remove(`${bed.work}/${file}`);
        });

        await t.step(`digest ${scheme}:// says that there is none`, async () => {
          const { code, stdout, stderr } = await bed.enroot(["digest", `${scheme}://${name}`], {
            env,
          });
          assertEquals([code, stdout], [1, ""]);
          assertMatch(
            stderr,
            /^\[ERROR\] .* has no manifest digest: its ID is sha256:[0-9a-f]{64}\n$/,
          );
        });

        await t.step(`no such image in ${scheme}://, in the engine's own words`, async () => {
          await assertFails(
            bed,
            ["load", `${scheme}://nobody/none:1`],
            env,
            /says: .*nobody\/none/,
          );
        });

        await t.step(`an image of ${scheme}:// for another architecture`, async () => {
          const args = ["load", "-a", "riscv64", `${scheme}://${name}`];
          await assertFails(bed, args, env, /no image for linux\/riscv64; there is: linux\/amd64/);
        });
      }

      await t.step("the same layers wait for nobody when podman brings them in order", async () => {
        await storage.podman("pull", "--quiet", "--tls-verify=false", name);
        const args = ["load", "-f", "-n", "again", `podman://${name}`];
        const { stderr } = await bed.enroot(args, { env: { ...env, ENROOT_LOG_LEVEL: "debug" } });
        // The sample has one layer twice, in its fifth place and its last.
        const most = Number(/at most (\d+) bytes/.exec(stderr)?.[1]);
        assert(most < 1000, stderr);
      });

      await t.step("no container was made in the engines, and nothing else", async () => {
        assertEquals(await dockerd.docker("ps", "--all", "--quiet"), "");
        assertEquals(await storage.podman("ps", "--all", "--quiet"), "");
        assertEquals((await dockerd.docker("images", "--quiet")).trim().split("\n").length, 1);
      });

      await t.step("a plain user without permission on the socket is told so", async () => {
        await using plain = await Bed.make("plain user");
        const args = ["load", `dockerd://${name}`];
        await assertFails(plain, args, dockerd.env, /says: .*permission denied.*docker/i);
      });

      for (const scheme of ["dockerd", "podman"]) {
        await t.step(`SIGINT in the middle of ${scheme}:// leaves nothing`, async () => {
          const before = await bed.contents();
          const child = bed.start([bed.executable, "load", "-n", "x", `${scheme}://${name}`], {
            env,
          });
          const output = child.output();
          const engine = scheme === "dockerd" ? "docker" : "podman";
          const below = await savingChild(child.pid, engine);
          await run(["kill", "-INT", String(child.pid)]);
          const { signal, stderr } = await output;
          assertEquals(signal, "SIGINT", new TextDecoder().decode(stderr));
          assertEquals(new TextDecoder().decode(stderr).includes("[ERROR]"), false);
          assertEquals(await bed.contents(), before);
          assert((await attempt(["kill", "-0", below])).code !== 0, `${engine} still runs`);
        });
      }

      await t.step("what a killed podman has left is removed by the next import", async () => {
        const before = await bed.contents();
        const child = bed.start([bed.executable, "load", "-n", "x", `podman://${name}`], { env });
        const output = child.output();
        await savingChild(child.pid, "podman");
        await run(["kill", "-KILL", String(child.pid)]);
        await output;
        await bed.succeed(["load", "-n", "x", `podman://${name}`], { env });
        await bed.succeed(["remove", "-f", "x"]);
        assertEquals(await bed.contents(), before);
      });
    });
  },
});

Deno.test("a daemon that does not run, and engines that are not installed", async () => {
  await using bed = await Bed.make("plain user");
  const nowhere = { DOCKER_HOST: "unix:///nonexistent/docker.sock" };
  await assertFails(bed, ["load", "dockerd://x"], nowhere, /Cannot connect to the Docker daemon/);
  for (const [scheme, program] of [["dockerd", "docker"], ["podman", "podman"]]) {
    const env = { PATH: `${bed.work}/nothing` };
    await assertFails(
      bed,
      ["load", `${scheme}://x`],
      env,
      new RegExp(`'${program}' is not installed: install ${program}`),
    );
  }
});

Deno.test("layers that come early wait compressed, in files without names", async () => {
  await using bed = await Bed.make("plain user");
  await using engine = await FakeEngine.make();
  const layers = Array.from({ length: 4 }, (_, index) => makeLayer(`layer ${index}`, 8 << 20));
  const image = makeImage(layers);
  for (
    const [about, archive, more] of [
      ["Docker 25", docker25(image), {}],
      ["containerd", dockerContainerd([image]), { Descriptor: {} }],
      ["podman", podmanShape(image), {}],
    ] as const
  ) {
    await engine.answer(inspectOf(image, archive.id, more), { bytes: archiveBytes(archive) });
    const child = bed.start([bed.executable, "load", "-f", "-n", "x", "dockerd://x:1"], {
      env: { PATH: `${engine.bin}:${bed.env["PATH"]}`, ENROOT_LOG_LEVEL: "debug" },
    });
    const output = child.output();
    const watched = await watchTemporary(child.pid, bed.temp, output);
    const { code, stderr } = await output;
    const text = new TextDecoder().decode(stderr);
    assertEquals(code, 0, text);
    const said = Number(/at most (\d+) bytes/.exec(text)?.[1]);
    const order = archive.members.flatMap(({ content }) => {
      const index = layers.findIndex((layer) =>
        content.length === layer.length ? content.every((byte, at) => byte === layer[at]) : false
      );
      return index === -1 ? [] : [index];
    });
    const early = about === "containerd"
      ? [0, 1, 2, 3]
      : order.filter((index, at) => order.slice(at).some((later) => later < index));
    const bound = early.reduce(
      (sum, index) => sum + gzip(layers[index] ?? new Uint8Array()).length,
      0,
    );
    assert(said <= bound * 1.02, `${about}: ${said} bytes waited, more than ${bound}`);
    assert(
      watched.peak <= bound * 1.02,
      `${about}: ${watched.peak} bytes seen, more than ${bound}`,
    );
    if (about === "podman") assertEquals(said, 0);
    if (about === "containerd") assert(watched.peak > bound / 3, `${watched.peak} bytes seen`);
    assertEquals(watched.names, []);
    for (const index of layers.keys()) {
      const info = await Deno.stat(`${bed.data}/x/layer ${index}.txt`);
      assertEquals(info.size, 8 << 20);
    }
  }
});

Deno.test("an engine's ID that is no image's costs a second reading, and nothing else", async () => {
  await using bed = await Bed.make("plain user");
  await using engine = await FakeEngine.make();
  const image = makeImage([makeLayer("one"), makeLayer("two")]);
  const archive = { ...podmanShape(image), id: `sha256:${"f".repeat(64)}` };
  await engine.answer(inspectOf(image, archive.id), { bytes: archiveBytes(archive) });
  const env = { PATH: `${engine.bin}:${bed.env["PATH"]}` };
  await bed.succeed(["load", "-n", "x", "podman://x:1"], { env });
  assertEquals((await engine.calls()).filter((call) => call.startsWith("save")).length, 2);
  assertEquals((await Deno.stat(`${bed.data}/x/two.txt`)).size, 1000);
  await bed.succeed(["remove", "-f", "x"]);
  assertEquals(await bed.contents(), []);
});

/** Run a command that must fail with one line, and leave nothing. */
async function assertFails(
  bed: Bed,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  says: RegExp,
): Promise<void> {
  const before = await bed.contents();
  const { code, stdout, stderr } = await bed.enroot(["-q", ...args], { env });
  assertEquals([code, stdout], [1, ""], stderr);
  const lines = stderr.trim().split("\n");
  assertEquals(lines.length, 1, stderr);
  assertMatch(lines[0] ?? "", /^\[ERROR\] /);
  assertMatch(lines[0] ?? "", says);
  assertEquals(await bed.contents(), before);
}

/** The process that saves, once there is one below this one. */
async function savingChild(parent: number, program: string): Promise<string> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline;) {
    const { stdout } = await attempt([
      "pgrep",
      "-P",
      String(parent),
      "-f",
      `^[^ ]*${program} save`,
    ]);
    if (stdout.trim() !== "") return stdout.trim();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error(`no '${program} save' within 20 seconds`);
}

/** Look at the files without names that a process has in a folder, until it ends. */
async function watchTemporary(
  pid: number,
  folder: string,
  end: Promise<unknown>,
): Promise<{ peak: number; names: string[] }> {
  let hasEnded = false;
  end.then(() => hasEnded = true);
  let peak = 0;
  const names = new Set<string>();
  while (!hasEnded) {
    let sum = 0;
    try {
      const seen = new Set<string>();
      for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
        const target = Deno.readLinkSync(`/proc/${pid}/fd/${name}`);
        const isOurs = target.startsWith(`${folder}/`) && target.endsWith(" (deleted)");
        if (!isOurs || seen.has(target)) continue;
        seen.add(target);
        sum += Deno.statSync(`/proc/${pid}/fd/${name}`).size;
      }
      for (const { name } of Deno.readDirSync(folder)) names.add(name);
    } catch {
      // It closes files while they are looked at.
    }
    peak = Math.max(peak, sum);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return { peak, names: [...names] };
}
