/**
 * What `zfs allow DATASET` prints: who may do what. Source: zfs-allow(8).
 *
 * @module
 */

/** Who asks. */
export interface Subject {
  readonly uid: number;
  /** Absent when the user has none. */
  readonly name?: string;
  readonly groups: readonly string[];
}

/**
 * Which of the permissions a user lacks on a dataset and on what is made below it.
 *
 * The output has one section a dataset: that which was asked for, and those above it with something to hand
 * down.
 *
 * @param text the output of `zfs allow DATASET`
 */
export function lackingPermissions(
  text: string,
  dataset: string,
  subject: Subject,
  wanted: readonly string[],
): string[] {
  const sets = new Map<string, string[]>();
  const granted = new Set<string>();
  let isOwn = false;
  let kind = "";
  for (const line of text.split("\n")) {
    const [, section] = /^-+ Permissions on (.*?) -+$/.exec(line) ?? [];
    if (section !== undefined) isOwn = section === dataset;
    const [, heading] = /^([A-Z].*):$/.exec(line) ?? [];
    if (heading !== undefined) kind = heading;
    const words = line.trim().split(/\s+/);
    if (kind === "Permission sets" && words[0]?.startsWith("@") === true) {
      sets.set(words[0], words[1]?.split(",") ?? []);
    }
    // On the dataset itself, what holds only for it or only for what is below is not enough.
    const counts = kind === "Local+Descendent permissions" ||
      kind === "Descendent permissions" && !isOwn;
    if (!counts || !isFor(words, subject)) continue;
    for (const permission of words.at(-1)?.split(",") ?? []) granted.add(permission);
  }
  // A set may hold others; what is added is visited, too.
  for (const name of granted) for (const each of sets.get(name) ?? []) granted.add(each);
  return wanted.filter((permission) => !granted.has(permission));
}

function isFor(words: readonly string[], { uid, name: user, groups }: Subject): boolean {
  const [type, name] = words;
  if (type === "everyone") return true;
  // Who is in no passwd file is `(unknown: UID)`.
  const isUnknown = words.slice(1, -1).join("") === `(unknown:${uid})`;
  if (type === "user") return name === user || name === String(uid) || isUnknown;
  return type === "group" && groups.includes(name ?? "");
}
