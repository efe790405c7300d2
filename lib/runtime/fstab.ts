/**
 * Lines of fstab, as files and `--mount` have them.
 *
 * Source: fstab(5) and mount(8), with enroot's own options: `x-create=`, `x-move`, `x-detach`,
 * `nofail`, `silent`, and the sixth field as the order.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import { MS } from "../sys/mount.ts";
import { expandVariables } from "./variables.ts";

/** What is made where a target is missing. */
export type Create = "dir" | "file" | "auto";

/** One mount, or one change of a mount. */
export interface MountEntry {
  readonly source: string;
  /** In the container; absolute. */
  readonly target: string;
  /** A file system, or `none`. */
  readonly type: string;
  /** Of {@linkcode MS}: what the mount is to have. */
  readonly flags: number;
  /** Of {@linkcode MS}: what it is not to have, whatever it had. */
  readonly cleared: number;
  /** How mounts propagate, one call each, in order. */
  readonly propagation: readonly number[];
  /** What the file system itself understands. */
  readonly data: string;
  readonly create: Create | undefined;
  /** Mounts with a lower number come first. */
  readonly pass: number;
  /** Move the mount there instead of binding it. */
  readonly move: boolean;
  /** Unmount what is at the target. */
  readonly detach: boolean;
  /** Do without it when it fails. */
  readonly nofail: boolean;
  /** Say nothing when it fails. */
  readonly silent: boolean;
  /** Where the line stands, for messages. */
  readonly place: string;
}

/** Options that set or clear a flag. */
const flagOptions: ReadonlyMap<string, readonly [set: number, clear: number]> = table({
  ro: [MS.RDONLY, 0],
  rw: [0, MS.RDONLY],
  nosuid: [MS.NOSUID, 0],
  suid: [0, MS.NOSUID],
  nodev: [MS.NODEV, 0],
  dev: [0, MS.NODEV],
  noexec: [MS.NOEXEC, 0],
  exec: [0, MS.NOEXEC],
  sync: [MS.SYNCHRONOUS, 0],
  async: [0, MS.SYNCHRONOUS],
  dirsync: [MS.DIRSYNC, 0],
  mand: [MS.MANDLOCK, 0],
  nomand: [0, MS.MANDLOCK],
  noatime: [MS.NOATIME, 0],
  atime: [0, MS.NOATIME],
  nodiratime: [MS.NODIRATIME, 0],
  diratime: [0, MS.NODIRATIME],
  relatime: [MS.RELATIME, 0],
  norelatime: [0, MS.RELATIME],
  strictatime: [MS.STRICTATIME, 0],
  nostrictatime: [0, MS.STRICTATIME],
  lazytime: [MS.LAZYTIME, 0],
  nolazytime: [0, MS.LAZYTIME],
  loud: [0, MS.SILENT],
  remount: [MS.REMOUNT, 0],
  bind: [MS.BIND, 0],
  rbind: [MS.BIND | MS.REC, 0],
  defaults: [0, MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC | MS.SYNCHRONOUS],
});

const propagationOptions: ReadonlyMap<string, number> = table({
  shared: MS.SHARED,
  slave: MS.SLAVE,
  private: MS.PRIVATE,
  unbindable: MS.UNBINDABLE,
  rshared: MS.SHARED | MS.REC,
  rslave: MS.SLAVE | MS.REC,
  rprivate: MS.PRIVATE | MS.REC,
  runbindable: MS.UNBINDABLE | MS.REC,
});

/** What mount(8) itself acts on, and what means nothing here. */
const ignoredOptions =
  /^(?:auto|noauto|user|nouser|users|owner|group|_netdev|comment=.*|x-(?!create|move|detach).*|X-.*)$/;

/**
 * Read lines of fstab.
 *
 * @param variables as for {@linkcode expandVariables}
 * @param place the file, for messages
 * @throws {EnrootError} code `bad-fstab`, naming place and line
 */
export function parseFstab(
  text: string,
  variables: Readonly<Record<string, string>>,
  place: string,
): MountEntry[] {
  return text.split("\n").flatMap((line, index) => {
    const content = line.trim();
    if (content === "" || content.startsWith("#")) return [];
    return [parseFields(content.split(/[ \t-\r]+/), variables, `${place}:${index + 1}`)];
  });
}

/**
 * Read one `--mount`: the fields of a line with `:` between them, so that white space in one is its own; or
 * a whole line, when it has no `:`.
 *
 * @throws {EnrootError} as {@linkcode parseFstab}
 */
export function parseMountOption(
  text: string,
  variables: Readonly<Record<string, string>>,
): MountEntry {
  // A colon inside a ${VAR:-} would not be a separator, but there is no such form here.
  const fields = text.split(text.includes(":") ? ":" : /\s+/).map((field) => field.trim())
    .filter((field) => field !== "");
  return parseFields(fields, variables, `--mount '${text}'`);
}

function parseFields(
  fields: readonly string[],
  variables: Readonly<Record<string, string>>,
  place: string,
): MountEntry {
  const refuse = (why: string): never => {
    throw new EnrootError("bad-fstab", `${place}: ${why}`);
  };
  const expanded = fields.map((field) => unescape(expandVariables(field, variables)));
  const [source = "", target = "", ...rest] = expanded;
  if (source === "" || target === "") refuse("a mount needs a source and a target");
  if (expanded.length > 6) refuse("there are more than six fields");
  if (expanded.some((field) => field.includes("\0"))) refuse("a field holds a NUL");
  // The type may be left out before options.
  const hasType = rest[0] !== undefined && !rest[0].split(",").some(isOption);
  const [type, options, , pass] = hasType ? rest : [undefined, ...rest];
  const isPath = /^[/.]/.test(source);
  const actualType = type ?? (isPath ? "none" : source);
  const words = (options ?? (isPath ? "x-create=auto,rbind" : "x-create=dir")).split(",");
  const order = Number(pass ?? 0);
  if (!Number.isInteger(order)) refuse(`the pass '${pass}' is no number`);
  return {
    source,
    target: target.startsWith("/") ? target : `/${target}`,
    type: actualType,
    pass: order,
    place,
    ...parseOptions(words, refuse),
  };
}

function parseOptions(
  words: readonly string[],
  refuse: (why: string) => never,
): Omit<MountEntry, "source" | "target" | "type" | "pass" | "place"> {
  let flags = 0;
  let cleared = 0;
  let create: Create | undefined;
  const propagation: number[] = [];
  const data: string[] = [];
  for (const word of words) {
    const [set, clear] = flagOptions.get(word) ?? [];
    const spreads = propagationOptions.get(word);
    if (set !== undefined && clear !== undefined) {
      flags = flags & ~clear | set;
      cleared = cleared & ~set | clear;
    } else if (spreads !== undefined) propagation.push(spreads);
    else if (word.startsWith("x-create=")) {
      create = createOf(word.slice("x-create=".length), refuse);
    } else if (word !== "" && !ownWords.includes(word) && !ignoredOptions.test(word)) {
      data.push(word);
    }
  }
  return {
    flags,
    cleared,
    create,
    propagation,
    data: data.join(","),
    move: words.includes("x-move") || words.includes("move"),
    detach: words.includes("x-detach"),
    nofail: words.includes("nofail"),
    silent: words.includes("silent"),
  };
}

const ownWords: readonly string[] = ["x-move", "move", "x-detach", "nofail", "silent"];

function createOf(word: string, refuse: (why: string) => never): Create {
  if (word === "dir" || word === "file" || word === "auto") return word;
  return refuse(`x-create=${word}: it can be dir, file or auto`);
}

function isOption(word: string): boolean {
  return flagOptions.has(word) || propagationOptions.has(word) || ownWords.includes(word) ||
    /^(?:x-|[a-z]+=)/.test(word);
}

/** Words are an image's too: none may be found that is not in the table. */
function table<T>(entries: Readonly<Record<string, T>>): ReadonlyMap<string, T> {
  return new Map(Object.entries(entries));
}

/** The octal escapes of fstab(5). */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(parseInt(digits, 8)));
}
