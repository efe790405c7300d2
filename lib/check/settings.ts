/**
 * Keys that mean nothing: mistyped ones, which configuration files and environments take without a word.
 *
 * @module
 */

import { parseConfFile } from "../config/conf_file.ts";
import { ignoredKeys, keys } from "../config/keys.ts";
import { type Finding, ok, warn } from "./finding.ts";

/** Variables that are no keys, and mean something all the same: of batch files, hooks and the launcher. */
const otherNames =
  /^ENROOT_(?:ROOTFS|PID|ENVIRON|MOUNTS|WORKDIR|LIBRARY_PATH|DOLLAR|CALLER_.*|UNDER_TEST|TEST_.*)$/;

/** Where a key stands. */
export interface SetKey {
  readonly key: string;
  /** `FILE:LINE`, or `environment`. */
  readonly place: string;
}

/** The keys of files, which can be read, and of an environment. */
export function setKeys(
  sysconfPath: string,
  environment: Readonly<Record<string, string>>,
): SetKey[] {
  const fromEnvironment = Object.keys(environment)
    .filter((key) => key.startsWith("ENROOT_"))
    .map((key) => ({ key, place: "environment" }));
  const folder = `${sysconfPath}/enroot.conf.d`;
  const files = [
    `${sysconfPath}/enroot.conf`,
    ...namesIn(folder).map((name) => `${folder}/${name}`),
  ];
  return [
    ...fromEnvironment,
    ...files.flatMap((file) => parseConfFile(textOf(file), file)),
  ];
}

/** Name the keys that mean nothing, with the key that may be meant. */
export function checkSettings(set: readonly SetKey[]): Finding[] {
  const unknown = set.filter(({ key }) =>
    key.startsWith("ENROOT_") && !Object.hasOwn(keys, key) && !ignoredKeys.includes(key) &&
    !otherNames.test(key)
  );
  if (unknown.length === 0) return [ok("settings", `${set.length} set, all of them known`)];
  return unknown.map(({ key, place }) => {
    const meant = closest(key);
    return warn(
      "settings",
      `${key} (${place}) is not known, and has no effect`,
      meant === undefined ? "remove it: 'enroot info' shows what there is" : `write ${meant}`,
    );
  });
}

/** The known key that differs by the fewest letters, when those are few. */
function closest(key: string): string | undefined {
  const [best] = Object.keys(keys)
    .map((name) => ({ name, distance: distanceOf(key, name) }))
    .sort((a, b) => a.distance - b.distance);
  return best !== undefined && best.distance <= 3 ? best.name : undefined;
}

/** How many letters must be put in, left out or changed: the distance of Levenshtein. */
export function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, change));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name)
      .filter((name) => name.endsWith(".conf")).sort();
  } catch {
    return [];
  }
}

function textOf(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
