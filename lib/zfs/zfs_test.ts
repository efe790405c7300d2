import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { CommandError, keptStderr } from "../process/run.ts";
import { type DatasetName, parseDatasetName, snapshotOf } from "./dataset.ts";
import { classify, ZfsError, type ZfsReason } from "./error.ts";
import { parseRows, type Runner, Zfs } from "./zfs.ts";

const a: DatasetName = parseDatasetName("tank/a");
const b: DatasetName = parseDatasetName("tank/b");

/** A runner that notes what it is asked, and answers each call with the next of these. */
function recorded(answers: readonly (string | { stderr: string; stdout?: string })[]): {
  readonly zfs: Zfs;
  readonly calls: string[];
} {
  const calls: string[] = [];
  const runner: Runner = (argv) => {
    calls.push(argv.join(" "));
    const answer = answers[Math.min(calls.length, answers.length) - 1] ?? "";
    if (typeof answer === "string") return Promise.resolve(answer);
    const status = { success: false, code: 1, signal: null };
    return Promise.reject(new CommandError(argv, status, answer.stderr, answer.stdout));
  };
  return { zfs: new Zfs(runner), calls };
}

// Complaints in the words of libzfs, by the reason they stand for.
const said: readonly (readonly [string, ZfsReason])[] = [
  ["cannot open 'tank/x': dataset does not exist", "not-found"],
  ["cannot open 'nopool/x': no such pool 'nopool'", "not-found"],
  ["cannot create 'tank/a/b': parent does not exist", "not-found"],
  ["could not find any snapshots to destroy; check snapshot names.", "not-found"],
  ["cannot create 'tank/a': dataset already exists", "exists"],
  ["cannot destroy 'tank/a': dataset is busy", "busy"],
  ["cannot unmount '/x': pool or dataset is busy", "busy"],
  [
    "cannot destroy snapshot tank/a@b: it's being held. Run 'zfs holds -r tank/a@b' to see holders.",
    "held",
  ],
  ["cannot create 'tank/b': out of space", "no-space"],
  ["cannot receive new filesystem stream: destination tank/b space quota exceeded.", "no-space"],
  ["cannot create 'tank/b': permission denied", "permission"],
  ["cannot set property for 'tank': permission denied", "permission"],
  ["Permission denied the ZFS utilities must be run as root.", "permission"],
  ["cannot destroy 'tank/t': filesystem has dependent clones", "has-clones"],
  ["", "unknown"],
];
for (const [text, reason] of said) {
  Deno.test(`zfs's '${text}' means ${reason}`, () => assertEquals(classify(text), reason));
}

Deno.test("a failure carries the subcommand, the reason and the words", async () => {
  const { zfs } = recorded([{ stderr: "cannot create 'tank/a': dataset already exists\n" }]);
  const error = await assertRejects(() => zfs.create(a), ZfsError);
  assertEquals([error.reason, error.subcommand, error.code], ["exists", "create", "zfs-exists"]);
  assertEquals(error.message, "zfs create failed: cannot create 'tank/a': dataset already exists");
});

Deno.test("a list names its columns and datasets, and takes the absent ones out", async () => {
  const { zfs, calls } = recorded([{
    stderr: "cannot open 'tank/b': dataset does not exist\n",
    stdout: "tank/a\t-\ttank/t@p\n",
  }]);
  const rows = await zfs.list([a, b], { columns: ["enroot:layout", "origin"] });
  assertEquals(rows, [{ name: "tank/a", "enroot:layout": "-", origin: "tank/t@p" }]);
  assertEquals(calls, [
    "zfs list -H -p -o name,enroot:layout,origin -t filesystem,snapshot tank/a tank/b",
  ]);
});

Deno.test("of many names all are asked, and what is said of the absent ones is kept whole", async () => {
  const names = Array.from(
    { length: 127 },
    (_, index) => parseDatasetName(`tank/${"x".repeat(200)}${String(index).padStart(50, "0")}`),
  );
  const there = names.filter((_, index) => index % 40 === 0);
  const lengths: number[] = [];
  const asked: string[] = [];
  const zfs = new Zfs((argv) => {
    const part = argv.slice(8);
    asked.push(...part);
    const [present, absent] = [true, false].map((isThere) =>
      part.filter((name) => there.some((each) => each === name) === isThere)
    ) as [string[], string[]];
    const stderr = absent.map((name) => `cannot open '${name}': dataset does not exist\n`).join("");
    lengths.push(stderr.length);
    const status = { success: false, code: 1, signal: null };
    const stdout = present.map((name) => `${name}\n`).join("");
    return Promise.reject(new CommandError(argv, status, stderr.slice(-keptStderr), stdout));
  });
  assertEquals((await zfs.list(names)).map(({ name }) => name), there);
  assertEquals(asked, names);
  assert(Math.max(...lengths) <= keptStderr);
  assertEquals(await zfs.list([]), []);
  assertEquals(asked, names);
});

Deno.test("a list that fails for more than absence fails", async () => {
  const { zfs } = recorded([{
    stderr: "cannot open 'tank/b': dataset does not exist\ncannot open 'tank/a': I/O error\n",
    stdout: "",
  }]);
  await assertRejects(() => zfs.list([a, b]), ZfsError);
});

Deno.test("only what is busy is tried again, and not for ever", async () => {
  const busy = { stderr: "cannot destroy 'tank/a': dataset is busy" };
  const patient = recorded([busy, busy, ""]);
  await patient.zfs.destroy(a);
  assertEquals(patient.calls.length, 3);

  const stuck = recorded([busy]);
  const error = await assertRejects(() => stuck.zfs.destroy(a), ZfsError);
  assertEquals(error.reason, "busy");
  assert(stuck.calls.length > 1 && stuck.calls.length < 10);

  const refused = recorded([{ stderr: "permission denied" }]);
  await assertRejects(() => refused.zfs.destroy(a), ZfsError);
  assertEquals(refused.calls.length, 1);
});

Deno.test("each subcommand gets the options that its contract names", async () => {
  const { zfs, calls } = recorded([""]);
  await zfs.create(a, { canmount: "off", "enroot:layout": "2" });
  await zfs.clone(snapshotOf(a, "pristine"), b, { "enroot:uri": "x y" });
  await zfs.snapshot(snapshotOf(a, "pristine"));
  await zfs.set(a, { readonly: "on" });
  await zfs.rename(a, b);
  await zfs.destroy(b, { recursive: true });
  assertEquals(calls, [
    "zfs create -u -o canmount=off -o enroot:layout=2 tank/a",
    "zfs clone -o canmount=noauto -o enroot:uri=x y tank/a@pristine tank/b",
    "zfs snapshot tank/a@pristine",
    "zfs set readonly=on tank/a",
    "zfs rename -u tank/a tank/b",
    "zfs destroy -r tank/b",
  ]);
});

Deno.test("rows are split at tabs only, and must be whole", () => {
  assertEquals(parseRows("tank/a b\tx y\ntank/c\t\n", ["name", "origin"]), [
    { name: "tank/a b", origin: "x y" },
    { name: "tank/c", origin: "" },
  ]);
  assertThrows(() => parseRows("tank/a\n", ["name", "origin"]), EnrootError);
  assertEquals(parseRows("", ["name"]), []);
});
