import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { helperPath } from "../process/assets.ts";
import { isSquashfs, makeSquashfs, unpackSquashfs } from "./squashfs.ts";

const common = {
  processors: 1,
  asRoot: [],
  signal: new AbortController().signal,
  onProgress: () => {},
};

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/root/sub`, { recursive: true });
    await Deno.writeTextFile(`${folder}/root/file`, "content");
    await Deno.writeTextFile(`${folder}/root/.lock`, "");
    await Deno.writeTextFile(`${folder}/root/sub/.lock`, "");
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a folder goes into a squashfs file and comes out again, less what is left out", () =>
  inFolder(async (folder) => {
    const image = `${folder}/image`;
    await makeSquashfs(`${folder}/root`, image, { ...common, extra: [], leaveOut: [".lock"] });
    assert(await isSquashfs(image));
    await Deno.mkdir(`${folder}/out`);
    await unpackSquashfs(image, `${folder}/out`, common);
    assertEquals(await Deno.readTextFile(`${folder}/out/file`), "content");
    assertEquals([...Deno.readDirSync(`${folder}/out`)].map(({ name }) => name).sort(), [
      "file",
      "sub",
    ]);
    assert((await Deno.stat(`${folder}/out/sub/.lock`)).isFile);
  }));

Deno.test("the same content makes the same file when its time is given", () =>
  inFolder(async (folder) => {
    const files = [`${folder}/a`, `${folder}/b`];
    for (const file of files) {
      await makeSquashfs(`${folder}/root`, file, { ...common, extra: [], madeAt: 1_700_000_000 });
      await new Promise((resolve) => setTimeout(resolve, 1100));
    }
    const [a, b] = await Promise.all(files.map((file) => Deno.readFile(file)));
    assertEquals(a, b);
  }));

// Nobody needs to be root to put a device node into an image.
const devices = [
  ...["-p", '"odd, because/memory" c 666 0 0 1 9'],
  ...["-p", "disk b 666 0 0 254 0"],
];

Deno.test("device nodes are left out and counted, everything else is there", () =>
  inFolder(async (folder) => {
    const image = `${folder}/image`;
    await Deno.mkdir(`${folder}/root/odd, because`);
    await makeSquashfs(`${folder}/root`, image, { ...common, extra: devices });
    await Deno.mkdir(`${folder}/out`);
    const asRoot = [helperPath("enroot-nsenter"), "--user", "--remap-root", "--"];
    const summary = await unpackSquashfs(image, `${folder}/out`, { ...common, asRoot });
    assertEquals(summary, { skippedDevices: 2, skippedXattrs: 0 });
    assertEquals(await Deno.readTextFile(`${folder}/out/file`), "content");
    assertEquals([...Deno.readDirSync(`${folder}/out/odd, because`)], []);
    await assertRejects(() => Deno.lstat(`${folder}/out/disk`), Deno.errors.NotFound);
  }));

const wrong: [options: string, says: RegExp][] = [
  ["-comp bogus", /Compressor "bogus" is not supported$/],
  ["-comp zstd -Xcompression-level 99", /-Xcompression-level.*invalid.*22$/],
  ["-comp lzo -Xbogus", /-Xbogus$/],
  ["-b 12", /block size/],
  ["-bogus", /invalid option$/],
  ["-pf /nonexistent", /"\/nonexistent".*No such file/],
];
for (const [options, says] of wrong) {
  Deno.test(`of squashfs options '${options}' it is said what is wrong with them`, () =>
    inFolder(async (folder) => {
      const extra = options.split(" ");
      const error = await assertRejects(
        () => makeSquashfs(`${folder}/root`, `${folder}/image`, { ...common, extra }),
        EnrootError,
        `mksquashfs does not take ENROOT_SQUASH_OPTIONS '${options}': `,
      );
      assertEquals(error.code, "bad-squash-options");
      assertMatch(error.message, says);
    }));
}

Deno.test("what is not for the options is not laid to them, and the reason is told", () =>
  inFolder(async (folder) => {
    const extra = ["-comp", "lzo", "-noD"];
    const error = await assertRejects(
      () => makeSquashfs(`${folder}/root`, "/nonexistent/image", { ...common, extra }),
      EnrootError,
    );
    assertEquals(error.code, "pack-failed");
    assertMatch(error.message, /^mksquashfs failed with exit code 1: .*No such file or directory$/);
  }));

Deno.test("a damaged image fails whatever else is left out", () =>
  inFolder(async (folder) => {
    const image = `${folder}/image`;
    await Deno.mkdir(`${folder}/root/odd, because`);
    await Deno.writeFile(`${folder}/root/big`, crypto.getRandomValues(new Uint8Array(65_536)));
    await makeSquashfs(`${folder}/root`, image, { ...common, extra: [...devices, "-b", "4096"] });
    // Content comes first in the file, right behind the superblock.
    using file = await Deno.open(image, { write: true });
    await file.seek(4096, Deno.SeekMode.Start);
    await file.write(new Uint8Array(8192));
    await file.truncate(16_384);
    await Deno.mkdir(`${folder}/out`);
    const asRoot = [helperPath("enroot-nsenter"), "--user", "--remap-root", "--"];
    const error = await assertRejects(
      () => unpackSquashfs(image, `${folder}/out`, { ...common, asRoot }),
      EnrootError,
    );
    assertEquals(error.code, "unpack-failed");
    assertMatch(
      error.message,
      /^cannot unpack \S+\/image: unsquashfs failed with exit code \d+: \S/,
    );
  }));

Deno.test("what is no squashfs is refused by name and leaves the folder empty", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/out`);
    const error = await assertRejects(
      () => unpackSquashfs(`${folder}/root/file`, `${folder}/out`, common),
      EnrootError,
    );
    assertEquals(error.code, "not-squashfs");
    assertEquals([...Deno.readDirSync(`${folder}/out`)], []);
    const missing = await assertRejects(() => isSquashfs(`${folder}/none`), EnrootError);
    assertEquals(missing.code, "not-found");
  }));
