import { assertEquals } from "@std/assert";
import {
  describeStore,
  evictable,
  type LifecycleRow,
  type Need,
  type Policy,
  pressure,
  unneededLayers,
} from "./lifecycle.ts";

const now = 1_800_000_000;
const policy: Policy = { now, warmSeconds: 604_800 };

function row(name: string, more: Partial<LifecycleRow> = {}): LifecycleRow {
  return {
    name: `tank/s${name}`,
    origin: "-",
    used: "100",
    quota: "0",
    "enroot:imported": "-",
    "enroot:layout": "2",
    "enroot:last_used": "-",
    "enroot:uri": "-",
    ...more,
  };
}

/** A template imported and last used so many seconds ago. */
function template(id: string, imported: number, used: number, origin = "-"): LifecycleRow {
  return row(`/.templates/${id}`, {
    origin,
    "enroot:imported": new Date((now - imported) * 1000).toISOString(),
    "enroot:last_used": String(now - used),
  });
}

function layer(id: string, below?: string): LifecycleRow {
  return row(`/.layers/${id}`, {
    origin: below === undefined ? "-" : `tank/s/.layers/${below}@done`,
  });
}

const clone = row("/c", { origin: "tank/s/.templates/t@pristine" });
const week = 604_800;
const states: readonly (readonly [string, LifecycleRow[], Partial<Policy>, string])[] = [
  ["has a clone", [template("t", 9 * week, 9 * week), clone], {}, "live"],
  ["was used a day ago", [template("t", 2 * week, 86_400)], {}, "warm"],
  ["was used a second less than the time ago", [template("t", 2 * week, week - 1)], {}, "warm"],
  ["was used longer ago than that", [template("t", 2 * week, week)], {}, "cold"],
  ["was used just now, and nothing is kept", [template("t", 60, 1)], { warmSeconds: 0 }, "cold"],
  ["was never cloned, for ten minutes", [template("t", 599, 599)], { warmSeconds: 0 }, "warm"],
  ["was never cloned, and it is longer ago", [template("t", 600, 600)], { warmSeconds: 0 }, "cold"],
  ["is kept for ever", [template("t", 9 * week, 9 * week)], { warmSeconds: Infinity }, "warm"],
  ["has no time of use", [row("/.templates/t")], {}, "cold"],
  [
    "has a clone in the making",
    [
      template("t", 9 * week, 9 * week),
      row("/.ephemeral/x", { origin: "tank/s/.templates/t@pristine" }),
    ],
    {},
    "live",
  ],
];
for (const [what, rows, more, state] of states) {
  Deno.test(`a template that ${what} is ${state}`, () => {
    const [found] = describeStore("tank/s", rows, { ...policy, ...more });
    assertEquals(found?.state, state);
  });
}

Deno.test("containers, folders and what is unfinished are neither template nor layer", () => {
  const rows = [row(""), row("/.templates"), row("/.templates/t.tmp"), row("/c"), row("/.layers")];
  assertEquals(describeStore("tank/s", rows, policy), []);
});

Deno.test("cold ones go first, those used longest ago before others; live ones never", () => {
  const rows = [
    template("fresh", 5, 5),
    template("young", 2 * week, 10),
    template("old", 2 * week, 1000),
    template("cold", 9 * week, 8 * week),
    template("colder", 9 * week, 9 * week),
    template("t", 9 * week, 9 * week),
    clone,
  ];
  const stored = describeStore("tank/s", rows, policy);
  const ids = (need: Need): string[] => evictable(stored, need).map(({ id }) => id);
  assertEquals(ids("time"), ["colder", "cold"]);
  assertEquals(ids("pressure"), ["colder", "cold", "old", "young"]);
  assertEquals(ids("room"), ["colder", "cold", "old", "young", "fresh"]);
});

Deno.test("pressure is that of the fullest quota", () => {
  assertEquals(pressure("tank/s", [row(""), row("/c", { quota: "1" })]), 0);
  const rows = [
    row("", { used: "500", quota: "1000" }),
    row("/.templates", { used: "90", quota: "100" }),
    row("/.layers", { used: "1", quota: "100" }),
  ];
  assertEquals(pressure("tank/s", rows), 0.9);
});

Deno.test("layers go from the leaf down, as far as nothing else stands on them", () => {
  const rows = [
    ...[layer("base"), layer("a", "base"), layer("b", "a"), layer("x", "base"), layer("alone")],
    template("t", 0, 0, "tank/s/.layers/x@done"),
  ];
  const ids = (all: LifecycleRow[]): string[] =>
    unneededLayers(describeStore("tank/s", all, policy)).map(({ id }) => id);
  assertEquals(ids(rows).filter((id) => id !== "alone"), ["b", "a"]);
  assertEquals(ids(rows).includes("alone"), true);
  const withoutTemplate = ids(rows.slice(0, -1));
  assertEquals(withoutTemplate.length, 5);
  assertEquals(withoutTemplate.indexOf("base") > withoutTemplate.indexOf("a"), true);
  assertEquals(withoutTemplate.indexOf("base") > withoutTemplate.indexOf("x"), true);
});

Deno.test("a layer with a clone in the making stays", () => {
  const rows = [
    layer("base"),
    row("/.templates/t.tmp", { origin: "tank/s/.layers/base@done" }),
  ];
  assertEquals(unneededLayers(describeStore("tank/s", rows, policy)), []);
});

Deno.test("what another version of enroot has filled is not ours to judge", () => {
  const old = { "enroot:layout": "-" };
  const rows = [row("/.templates/t", old), row("/.layers/l", old), template("u", 0, 0)];
  assertEquals(describeStore("tank/s", rows, policy).map(({ id }) => id), ["u"]);
});
