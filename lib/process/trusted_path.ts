/**
 * Who could have put a program where it is.
 *
 * @module
 */

/** What of a file or folder counts here. */
type Facts = Pick<Deno.FileInfo, "uid" | "mode">;

const groupOrOthersMayWrite = 0o022;
const sticky = 0o1000;

/**
 * Why a program is not to be trusted: somebody who is neither root nor the caller could have put it
 * there, or could put another in its place. `undefined` when nobody could.
 *
 * In a sticky folder, such as `/tmp`, anybody can make new names but not touch those of others: it may be
 * on the way, but not be the folder that the program itself lies in.
 *
 * @param path absolute, without `.` and `..`; nothing on it may be a symlink
 */
export function whyNotTrusted(path: string): string | undefined {
  for (const folder of foldersAbove(path)) {
    const facts = Deno.lstatSync(folder);
    const isParent = folder === parentOf(path);
    if (!facts.isDirectory) return `${folder} is no folder`;
    if (isForeign(facts)) return `${folder} belongs to another user`;
    const mode = facts.mode ?? 0;
    const isProtected = (mode & sticky) !== 0 && !isParent;
    if ((mode & groupOrOthersMayWrite) !== 0 && !isProtected) {
      return `others may write to ${folder}`;
    }
  }
  const file = Deno.lstatSync(path);
  if (!file.isFile) return "it is no file";
  if (isForeign(file)) return "it belongs to another user";
  if (((file.mode ?? 0) & groupOrOthersMayWrite) !== 0) return "others may write to it";
  return undefined;
}

function isForeign({ uid }: Facts): boolean {
  return uid !== 0 && uid !== Deno.uid();
}

/** The folders that a path leads through, the root first. */
function foldersAbove(path: string): string[] {
  const parts = path.split("/").slice(1, -1);
  return ["/", ...parts.map((_, index) => `/${parts.slice(0, index + 1).join("/")}`)];
}

/** The folder that something is in. */
export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}
