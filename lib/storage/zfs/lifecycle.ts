/**
 * Which templates and layers are in use, kept for a while, or to go. Decisions only: nothing is done.
 *
 * A template is *live* while something is a clone of it; *warm* while it was used recently; *cold* when
 * neither. One that was never cloned is not cold at first: whoever imported it is about to. A layer is
 * needed while anything is a clone of it.
 *
 * @module
 */

import type { Row } from "../../zfs/zfs.ts";
import { folders } from "./dataset_names.ts";
import { layoutProperty, layoutVersion } from "./layout.ts";

/** What is asked of `zfs list`, for the store with all that is below it. */
export const lifecycleColumns = [
  ...["origin", "used", "quota", "enroot:imported", "enroot:last_used", "enroot:uri"] as const,
  layoutProperty,
] as const;

/** One line of that list. */
export type LifecycleRow = Row<typeof lifecycleColumns[number]>;

/** How a template stands. */
export type TemplateState = "live" | "warm" | "cold";

/** A template or a layer. */
export interface Stored {
  readonly kind: "template" | "layer";
  readonly id: string;
  readonly state: TemplateState;
  /** Never cloned, and just imported: whoever did that is about to clone it. */
  readonly isFresh: boolean;
  /** Bytes that would be free without it. */
  readonly used: number;
  /** Seconds since the epoch; 0 where it is not known. */
  readonly lastUsed: number;
  readonly uri: string | undefined;
  /** The layer that it is a clone of. */
  readonly layer: string | undefined;
}

/** By what templates are kept. */
export interface Policy {
  /** How long one that is not used is kept, in seconds; `Infinity`: for ever. */
  readonly warmSeconds: number;
  /** Seconds since the epoch. */
  readonly now: number;
}

/** For how many seconds one that was never cloned is not cold. */
const grace = 600;

/**
 * All templates and layers of a store.
 *
 * @param store the store's dataset
 * @param rows all file systems of the store, with {@linkcode lifecycleColumns}
 */
export function describeStore(
  store: string,
  rows: readonly LifecycleRow[],
  policy: Policy,
): Stored[] {
  const origins = new Set(rows.map(({ origin }) => origin));
  return rows.flatMap((row) => {
    const [, folder, id] = /^(.*)\/([^/]+)$/.exec(row.name) ?? [];
    if (id === undefined || id.endsWith(".tmp")) return [];
    const isTemplate = folder === `${store}/${folders.templates}`;
    if (!isTemplate && folder !== `${store}/${folders.layers}`) return [];
    // What another version of enroot has filled is neither used nor taken away.
    if (row[layoutProperty] !== layoutVersion) return [];
    const hasClones = origins.has(`${row.name}@${isTemplate ? "pristine" : "done"}`);
    const lastUsed = Number(row["enroot:last_used"]) || 0;
    return [{
      kind: isTemplate ? "template" : "layer",
      id,
      state: hasClones ? "live" : isTemplate ? idleState(row, policy) : "cold",
      isFresh: isTemplate && !hasClones && isFresh(row, policy),
      used: Number(row.used) || 0,
      lastUsed,
      uri: row["enroot:uri"] === "-" ? undefined : row["enroot:uri"],
      layer: /\/\.layers\/([^/@]+)@done$/.exec(row.origin)?.[1],
    }];
  });
}

function idleState(row: LifecycleRow, policy: Policy): TemplateState {
  if (isFresh(row, policy)) return "warm";
  const lastUsed = Number(row["enroot:last_used"]) || 0;
  return policy.now - lastUsed < policy.warmSeconds ? "warm" : "cold";
}

function isFresh(row: LifecycleRow, { now }: Policy): boolean {
  const lastUsed = Number(row["enroot:last_used"]) || 0;
  const imported = Date.parse(row["enroot:imported"]) / 1000;
  // Both are set when it is filled; a clone moves the one and not the other.
  return lastUsed <= imported + 1 && now - imported < grace;
}

/**
 * How full the fullest quota is, from 0; 0 where none is set.
 *
 * @param leaving layers that will go by themselves, and do not count
 */
export function pressure(
  store: string,
  rows: readonly LifecycleRow[],
  leaving: readonly Stored[] = [],
): number {
  const gone = leaving.reduce((sum, { used }) => sum + used, 0);
  const layers = `${store}/${folders.layers}`;
  const limited = [store, `${store}/${folders.templates}`, layers];
  return rows.filter(({ name }) => limited.includes(name)).reduce(
    (highest, { name, used, quota }) => {
      const limit = Number(quota) || 0;
      const kept = Number(used) - (name === store || name === layers ? gone : 0);
      return limit > 0 ? Math.max(highest, kept / limit) : highest;
    },
    0,
  );
}

/** Why templates have to go: their time is over; a quota is nearly full; there is no room at all. */
export type Need = "time" | "pressure" | "room";

/** The templates that may go now, those used longest ago first. */
export function evictable(stored: readonly Stored[], need: Need): Stored[] {
  const mayGo = ({ kind, state, isFresh }: Stored): boolean =>
    kind === "template" && (state === "cold" ||
      state === "warm" && (need === "room" || need === "pressure" && !isFresh));
  return stored.filter(mayGo).sort((a, b) => a.lastUsed - b.lastUsed);
}

/**
 * The layers that nothing needs when a template has gone, in the order in which they can go: each has
 * no clone but the one before it.
 */
export function unneededLayers(stored: readonly Stored[]): Stored[] {
  const layers = new Map(
    stored.filter(({ kind }) => kind === "layer").map((layer) => [layer.id, layer]),
  );
  const clones = new Map<string, number>();
  for (const { layer } of stored) {
    if (layer !== undefined) clones.set(layer, (clones.get(layer) ?? 0) + 1);
  }
  const order: Stored[] = [];
  // A layer that nothing in `stored` is a clone of may still be somebody else's origin: "live".
  const ready = [...layers.values()].filter(({ id, state }) =>
    (clones.get(id) ?? 0) === 0 && state === "cold"
  );
  for (let layer = ready.pop(); layer !== undefined; layer = ready.pop()) {
    order.push(layer);
    const below = layer.layer === undefined ? undefined : layers.get(layer.layer);
    if (below === undefined) continue;
    const left = (clones.get(below.id) ?? 0) - 1;
    clones.set(below.id, left);
    if (left === 0) ready.push(below);
  }
  return order;
}
