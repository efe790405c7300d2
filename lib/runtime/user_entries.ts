/**
 * The caller in the container's user database: lines of passwd(5) and group(5).
 *
 * @module
 */

import type { HostUser } from "./host_user.ts";

/**
 * The text of a passwd file with the host's user in it. Whoever has his name or his number there makes
 * way for him; root does not, the container's is as good as the host's.
 *
 * @param shell one that the container has
 * @returns the same text when there is nothing to change
 */
export function withUser(text: string, user: HostUser, shell: string): string {
  const lines = linesOf(text);
  if (user.uid === 0 && lines.some((line) => fieldOf(line, 2) === "0")) return text;
  const { name, uid, gid, gecos, home } = user;
  const entry = [name, "x", uid, gid, gecos, home, shell].join(":");
  if (lines.includes(entry)) return text;
  const others = lines.filter((line) =>
    fieldOf(line, 0) !== name && fieldOf(line, 2) !== String(uid)
  );
  return join([...others, entry]);
}

/**
 * The text of a group file with the host's groups of the user in it, him a member of each. A group of the
 * container with the name or the number of one makes way for it; who was a member of the number stays one.
 *
 * @returns the same text when there is nothing to change
 */
export function withGroups(text: string, user: HostUser): string {
  const lines = linesOf(text);
  // Root has all it needs there, and packages are installed that add groups of their own.
  if (user.uid === 0 && lines.some((line) => fieldOf(line, 2) === "0")) return text;
  const names = new Set(user.groups.map(({ name }) => name));
  const members = new Map(user.groups.map(({ gid }) => [String(gid), ""]));
  const others: string[] = [];
  for (const line of lines) {
    const gid = fieldOf(line, 2) ?? "";
    // The first line of a number counts, as for getgrgid(3).
    if (members.has(gid)) members.set(gid, members.get(gid) || (fieldOf(line, 3) ?? ""));
    else if (!names.has(fieldOf(line, 0) ?? "")) others.push(line);
  }
  const entries = user.groups.map(({ name, gid }) => {
    const list = (members.get(String(gid)) ?? "").split(",").filter((member) => member !== "");
    // The primary group is the one that passwd says; nobody is listed in it for that.
    if (gid !== user.gid && !list.includes(user.name)) list.push(user.name);
    return [name, "x", gid, list.join(",")].join(":");
  });
  const there = new Set(lines);
  const isComplete = entries.every((entry) => there.has(entry)) &&
    lines.length === others.length + entries.length;
  return isComplete ? text : join([...others, ...entries]);
}

function fieldOf(line: string, index: number): string | undefined {
  return line.split(":", index + 1)[index];
}

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

function join(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}
