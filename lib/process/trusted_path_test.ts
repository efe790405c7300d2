import { assertEquals } from "@std/assert";
import { whyNotTrusted } from "./trusted_path.ts";

/** A program in `FOLDER/safe/bin/tool`, the folder itself in a sticky one as `/tmp` is. */
async function inFolder(body: (folder: string, program: string) => void): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    Deno.chmodSync(folder, 0o1777);
    Deno.mkdirSync(`${folder}/safe/bin`, { recursive: true });
    for (const each of ["safe", "safe/bin"]) Deno.chmodSync(`${folder}/${each}`, 0o755);
    const program = `${folder}/safe/bin/tool`;
    Deno.writeTextFileSync(program, "");
    Deno.chmodSync(program, 0o755);
    body(folder, program);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a program that only root and the caller can change is trusted, below a sticky folder too", () =>
  inFolder((_, program) => assertEquals(whyNotTrusted(program), undefined)));

const changes: [what: string, change: (folder: string) => void, why: RegExp][] = [
  [
    "one that others may write",
    (folder) => Deno.chmodSync(`${folder}/safe/bin/tool`, 0o757),
    /to it$/,
  ],
  [
    "one that its group may write",
    (folder) => Deno.chmodSync(`${folder}/safe/bin/tool`, 0o775),
    /to it$/,
  ],
  [
    "one in a folder that others may write",
    (folder) => Deno.chmodSync(`${folder}/safe/bin`, 0o757),
    /safe\/bin$/,
  ],
  [
    "one in a sticky folder",
    (folder) => Deno.chmodSync(`${folder}/safe/bin`, 0o1777),
    /safe\/bin$/,
  ],
  [
    "one below a folder that others may write",
    (folder) => Deno.chmodSync(`${folder}/safe`, 0o777),
    /safe$/,
  ],
  ["one behind a symlink", (folder) => {
    Deno.renameSync(`${folder}/safe/bin`, `${folder}/safe/moved`);
    Deno.symlinkSync("moved", `${folder}/safe/bin`);
  }, /safe\/bin is no folder$/],
  ["a symlink", (folder) => {
    Deno.renameSync(`${folder}/safe/bin/tool`, `${folder}/safe/bin/moved`);
    Deno.symlinkSync("moved", `${folder}/safe/bin/tool`);
  }, /^it is no file$/],
];
for (const [what, change, why] of changes) {
  Deno.test(`${what} is not trusted`, () =>
    inFolder((folder, program) => {
      change(folder);
      assertEquals(why.test(whyNotTrusted(program) ?? ""), true, whyNotTrusted(program));
    }));
}

// Only root can give a file away.
Deno.test({
  name: "a program of another user is not trusted, nor one in his folder",
  ignore: Deno.uid() !== 0,
  fn: () =>
    inFolder((folder, program) => {
      Deno.chownSync(program, 4242, 4242);
      assertEquals(whyNotTrusted(program), "it belongs to another user");
      Deno.chownSync(program, 0, 0);
      Deno.chownSync(`${folder}/safe`, 4242, 4242);
      assertEquals(whyNotTrusted(program), `${folder}/safe belongs to another user`);
    }),
});
