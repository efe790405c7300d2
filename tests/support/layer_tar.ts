/**
 * Layers made with GNU tar: a tar of chosen entries in a chosen order.
 *
 * @module
 */

import { run } from "./command.ts";

/** The time that nothing in a test layer is newer than: seconds since 1970. */
export const latest = 1_600_000_000;

const formatOptions = [
  ...["--format=posix", "--numeric-owner", "--owner=0", "--group=0", "--sparse"],
  // Access and change times would make each run's tar another one.
  ...["--pax-option=delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f"],
  ...["--xattrs", "--xattrs-include=user.*", "--mtime", `@${latest}`, "--clamp-mtime"],
];

/**
 * Write these paths of a folder to a tar, in this order, folders without what is in them.
 *
 * @param paths relative to `folder`; `.` for the folder itself
 * @param options.append add to the tar that is there
 */
export async function tarPaths(
  tar: string,
  folder: string,
  paths: readonly string[],
  { append = false } = {},
): Promise<void> {
  await run(
    [
      "tar",
      append ? "--append" : "--create",
      "--file",
      tar,
      ...formatOptions,
      "-C",
      folder,
      "--no-recursion",
    ].concat(
      ["--null", "--verbatim-files-from", "--files-from=-"],
    ),
    { input: paths.map((path) => `${path}\0`).join("") },
  );
}

/** What is in a folder, itself too, for {@linkcode tarPaths}; in the order of names. */
export async function listFolder(folder: string): Promise<string[]> {
  const listing = await run(["find", ".", "-print0"], { cwd: folder });
  // "./" stays before each path, as many builders write it.
  return listing.split("\0").slice(0, -1).sort();
}

/**
 * Take entries out of a tar. A hard link whose first name is taken out points to a file of a layer
 * below.
 */
export async function dropFromTar(tar: string, paths: readonly string[]): Promise<void> {
  await run(["tar", "--delete", "--file", tar, ...paths]);
}
