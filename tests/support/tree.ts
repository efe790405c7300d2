/**
 * A folder's tree as records that can be compared, to show that two ways of making a root
 * filesystem give the same one.
 *
 * What is on disk is read by find(1), sha256sum(1) and getfattr(1), not by the code under test.
 * Names are bytes there and need not be UTF-8; here they are text with one character a byte.
 *
 * @module
 */

import { runForBytes } from "./command.ts";

/** What is known of one file, folder or link, as text: the same text means the same thing. */
export interface Entry {
  /** Its path below the root; `.` for the root itself. */
  readonly path: string;
  /** `find`'s letter: f, d, l, p, s, b, c. */
  readonly type: string;
  /** Permissions in octal, set-id and sticky bits too. */
  readonly mode: string;
  /** Seconds since 1970, with nanoseconds where asked for; absent where ignored. */
  readonly mtime?: string;
  /** Numeric `uid:gid`, where asked for. */
  readonly owner?: string;
  /** Of a file: its size in bytes. */
  readonly size?: number;
  /** Of a file: the sha256 of its content. */
  readonly content?: string;
  /** Of a link: its target. */
  readonly target?: string;
  /** Of a file with several names: the first of them. */
  readonly linkedTo?: string;
  /** Extended attributes of `user.` and `security.capability`, `name=0xhex`, sorted. */
  readonly xattrs?: string;
}

/** What to leave out and what to add. */
export interface DescribeOptions {
  /** Paths to leave out, with everything below them. */
  readonly without?: readonly string[];
  /** Paths whose mtime does not count. */
  readonly ignoreMtimeOf?: readonly string[];
  /** Compare nanoseconds; seconds otherwise, which is all that squashfs keeps. */
  readonly nanoseconds?: boolean;
  readonly owners?: boolean;
}

/** The tree below a folder, sorted by path. @throws {Error} when a part of it cannot be read */
export async function describeTree(
  root: string,
  { without = [], ignoreMtimeOf = [], nanoseconds = false, owners = false }: DescribeOptions = {},
): Promise<Entry[]> {
  const fields = ["%P", "%y", "%m", "%s", "%T@", "%l", "%D:%i", "%U:%G"];
  const [listing, sums, attributes] = await Promise.all([
    runForBytes(["find", ".", "-printf", `${fields.join("\\0")}\\0`], { cwd: root }),
    runForBytes(["find", ".", "-type", "f", "-exec", "sha256sum", "--zero", "{}", "+"], {
      cwd: root,
    }),
    readAttributes(root),
  ]);
  const contents = parseSums(sums);

  const words = latin1(listing).split("\0").slice(0, -1);
  const entries: Entry[] = [];
  const firstNames = new Map<string, string>();
  const rows = chunk(words, fields.length)
    .map((row) => ({ row, path: row[0] || "." }))
    .sort((a, b) => compare(a.path, b.path));

  for (const { row, path } of rows) {
    if (without.some((each) => path === each || path.startsWith(`${each}/`))) continue;
    const [, type = "", mode = "", size, mtime = "", target, inode = "", owner = ""] = row;
    const xattrs = attributes.get(path);
    const first = type === "f" ? firstNames.get(inode) : undefined;
    if (type === "f" && first === undefined) firstNames.set(inode, path);
    entries.push({
      path,
      type,
      // Links have no mode of their own on Linux.
      mode: type === "l" ? "" : mode,
      ...(ignoreMtimeOf.includes(path) ? {} : { mtime: shorten(mtime, nanoseconds) }),
      ...(owners ? { owner } : {}),
      ...(type === "f" ? { size: Number(size), content: contents.get(path) ?? "unread" } : {}),
      ...(type === "l" ? { target: target ?? "" } : {}),
      ...(first === undefined ? {} : { linkedTo: first }),
      ...(xattrs === undefined ? {} : { xattrs }),
    });
  }
  return entries;
}

/** One line for each difference between two trees, for people; none when they are the same. */
export function diffTrees(actual: readonly Entry[], expected: readonly Entry[]): string[] {
  const left = new Map(actual.map((entry) => [entry.path, entry]));
  const right = new Map(expected.map((entry) => [entry.path, entry]));
  const lines: string[] = [];
  for (const path of [...new Set([...left.keys(), ...right.keys()])].sort(compare)) {
    const a = left.get(path);
    const b = right.get(path);
    if (a === undefined) lines.push(`${show(path)}: missing`);
    else if (b === undefined) lines.push(`${show(path)}: should not be there (type ${a.type})`);
    else {
      const keys = new Set([...Object.keys(a), ...Object.keys(b)]) as Set<keyof Entry>;
      const changes = [...keys].filter((key) => a[key] !== b[key])
        .map((key) => `${key} ${show(a[key])} instead of ${show(b[key])}`);
      if (changes.length > 0) lines.push(`${show(path)}: ${changes.join(", ")}`);
    }
  }
  return lines;
}

/** Fail with the differences, the first 40, when two trees are not the same. */
export function assertSameTree(
  actual: readonly Entry[],
  expected: readonly Entry[],
  message: string,
): void {
  if (expected.length < 2) throw new Error(`${message}: there is nothing to compare with`);
  const lines = diffTrees(actual, expected);
  if (lines.length === 0) return;
  const more = lines.length > 40 ? [`… and ${lines.length - 40} more`] : [];
  throw new Error([`${message}:`, ...lines.slice(0, 40), ...more].join("\n  "));
}

async function readAttributes(root: string): Promise<Map<string, string>> {
  const output = await runForBytes(
    [
      "getfattr",
      "-R",
      "-P",
      "-h",
      "-d",
      "-e",
      "hex",
      "-m",
      "^(user\\.|security\\.capability$)",
      ".",
    ],
    { cwd: root, env: { LC_ALL: "C" } },
  );
  const found = new Map<string, string>();
  for (const block of latin1(output).split("\n\n")) {
    const [head = "", ...lines] = block.split("\n").filter((line) => line !== "");
    if (!head.startsWith("# file: ")) continue;
    found.set(withoutDot(unescape(head.slice(8))), lines.sort(compare).join(" "));
  }
  return found;
}

function parseSums(output: Uint8Array): Map<string, string> {
  return new Map(
    latin1(output).split("\0").slice(0, -1).map((line) => [
      withoutDot(line.slice(66)),
      line.slice(0, 64),
    ]),
  );
}

function withoutDot(path: string): string {
  return path === "." ? path : path.replace(/^\.\//, "");
}

/** getfattr writes odd bytes of names as a backslash and three octal digits. */
function unescape(name: string): string {
  return name.replaceAll(
    /\\([0-7]{3})/g,
    (_, octal: string) => String.fromCharCode(parseInt(octal, 8)),
  );
}

function shorten(mtime: string, nanoseconds: boolean): string {
  const [seconds = "", fraction = ""] = mtime.split(".");
  return nanoseconds ? `${seconds}.${fraction.slice(0, 9)}` : seconds;
}

function chunk(words: readonly string[], size: number): string[][] {
  if (words.length % size !== 0) throw new Error("find gave a listing that cannot be read");
  return Array.from(
    { length: words.length / size },
    (_, index) => words.slice(index * size, (index + 1) * size),
  );
}

function latin1(bytes: Uint8Array): string {
  // The "latin1" decoder of the platform is windows-1252, which moves some bytes.
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; at += 8192) {
    parts.push(String.fromCharCode(...bytes.subarray(at, at + 8192)));
  }
  return parts.join("");
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function show(value: string | number | undefined): string {
  return value === undefined ? "none" : JSON.stringify(value);
}
