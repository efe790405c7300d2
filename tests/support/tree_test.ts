import { assert, assertEquals, assertThrows } from "@std/assert";
import { run } from "./command.ts";
import { assertSameTree, describeTree, diffTrees } from "./tree.ts";

async function sample(root: string): Promise<void> {
  await run([
    "bash",
    "-c",
    String.raw`
    mkdir -p dir/empty; printf one > a; ln a dir/b; printf two > c; chmod 4751 c
    ln -s ../a dir/link; mkfifo pipe; printf x > $'odd\n\xff name'; setfattr -n user.k -v v c
    setfattr -n user.k -v w $'odd\n\xff name'
    find . -exec touch -h -d @1600000000.123456789 {} +`,
  ], { cwd: root });
}

Deno.test("two trees made the same way have no difference, names of any bytes included", async () => {
  const root = await Deno.makeTempDir();
  try {
    for (const name of ["one", "two"]) {
      await Deno.mkdir(`${root}/${name}`);
      await sample(`${root}/${name}`);
    }
    const options = { nanoseconds: true, owners: true };
    const tree = await describeTree(`${root}/one`, options);
    assertSameTree(await describeTree(`${root}/two`, options), tree, "the trees differ");
    assertEquals(tree.map(({ path }) => path), [
      ...[".", "a", "c", "dir", "dir/b", "dir/empty", "dir/link", "odd\n\xff name", "pipe"],
    ]);
    assertEquals(tree.find(({ path }) => path === "dir/b")?.linkedTo, "a");
    assertEquals(tree.find(({ path }) => path === "c")?.xattrs, "user.k=0x76");
    assertEquals(tree.find(({ path }) => path === "odd\n\xff name")?.xattrs, "user.k=0x77");
    assertEquals(tree.find(({ path }) => path === "c")?.mode, "4751");
    assertEquals(tree.find(({ path }) => path === "c")?.mtime, "1600000000.123456789");
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("each kind of change shows", async () => {
  const changes: Record<string, [command: string, path: string]> = {
    "content": ["printf ONE > a; touch -r c a", "a"],
    "mode": ["chmod 0751 c", "c"],
    "mtime": ["touch -d @1600000001 c", "c"],
    "target": ["ln -sfn ../c dir/link; touch -h -r c dir/link dir", "dir/link"],
    "linkedTo": ["cp -p a x; mv x dir/b; touch -r c dir .", "dir/b"],
    "xattrs": ["setfattr -n user.k -v V c", "c"],
    "type": ["rmdir dir/empty; touch -r c dir/empty dir", "dir/empty"],
    "missing": ["rm pipe; touch -r c .", "pipe"],
    "should not be there": ["touch -r c new .", "new"],
  };
  const root = await Deno.makeTempDir();
  try {
    for (const [word, [command, path]] of Object.entries(changes)) {
      await Deno.mkdir(`${root}/${word}`);
      await sample(`${root}/${word}`);
      const before = await describeTree(`${root}/${word}`);
      await run(["bash", "-c", command], { cwd: `${root}/${word}` });
      const lines = diffTrees(await describeTree(`${root}/${word}`), before);
      assert(
        lines.some((line) => line.startsWith(`"${path}"`) && line.includes(word)),
        `${word}: ${lines}`,
      );
    }
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("parts can be left out, and an empty comparison is no success", async () => {
  const root = await Deno.makeTempDir();
  try {
    await sample(root);
    const tree = await describeTree(root, { without: ["dir"], ignoreMtimeOf: ["."] });
    assert(!tree.some(({ path }) => path.startsWith("dir")));
    assertEquals(tree[0]?.mtime, undefined);
    assertThrows(() => assertSameTree([], [], "x"), Error, "nothing to compare");
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
