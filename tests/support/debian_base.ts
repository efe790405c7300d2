/**
 * A base layer out of the files that Debian's packages have put on this machine: a shell, the
 * core utilities and what they need.
 *
 * @module
 */

import { attempt, run } from "./command.ts";
import { tarPaths } from "./layer_tar.ts";

/** All essential, so that they are on every Debian. */
const packages = [
  ...["base-files", "base-passwd", "bash", "coreutils", "dash", "debianutils", "findutils"],
  ...["grep", "gzip", "hostname", "libc-bin", "libc6", "login", "perl-base", "sed", "tar"],
  ...["util-linux"],
];

const without = /^\/usr\/share\/(doc|man|locale|info|lintian|bash-completion|gdb)\//;

/**
 * Write the base layer.
 *
 * @param scratch an empty folder of the caller's own, for files that are made rather than copied
 */
export async function tarDebianBase(tar: string, scratch: string): Promise<void> {
  const listed = (await run(["dpkg-query", "--listfiles", ...packages])).split("\n")
    .filter((path) => path.startsWith("/") && path !== "/." && !without.test(path));
  const paths = new Set<string>();
  for (const path of [...listed, ...await libraries(listed)]) {
    await addWithParents(paths, path);
  }
  for (const link of ["bin", "lib", "lib64", "sbin"]) await addWithParents(paths, `/${link}`);

  // Folders are made anew: those of the machine change while they are read, and /root is closed.
  const folders: string[] = [];
  const files: string[] = [];
  for (const path of [...paths].sort()) {
    const { isDirectory, mode } = await Deno.lstat(`/${path}`);
    if (!isDirectory) files.push(path);
    else {
      folders.push(path);
      await Deno.mkdir(`${scratch}/${path}`);
      await Deno.chmod(`${scratch}/${path}`, (mode ?? 0) & 0o7777 | 0o700);
    }
  }
  // The user database is made by base-passwd when it is installed; it starts from these.
  const made = ["passwd", "group"].map((name) => `etc/${name}`);
  for (const path of made) {
    const master = `/usr/share/base-passwd/${path.slice(4)}.master`;
    await Deno.writeTextFile(
      `${scratch}/${path}`,
      (await Deno.readTextFile(master)).replaceAll(":*:", ":x:"),
    );
  }
  await Deno.chmod(scratch, 0o755);
  await tarPaths(tar, scratch, [".", ...folders, ...made]);
  await tarPaths(tar, "/", files.filter((path) => !made.includes(path)), { append: true });
}

/** Add a path and the folders it is in, by their real names: Debian 12 has /bin as a link to usr/bin. */
async function addWithParents(paths: Set<string>, path: string): Promise<void> {
  try {
    const at = path.lastIndexOf("/");
    const parent = at === 0 ? "" : (await Deno.realPath(path.slice(0, at))).slice(1);
    const real = `${parent}/${path.slice(at + 1)}`.replace(/^\//, "");
    if (paths.has(real)) return;
    const { isSymlink, isDirectory, isFile } = await Deno.lstat(`/${real}`);
    if (isFile && !await readable(`/${real}`)) return;
    for (let at = parent.length; at > 0; at = parent.lastIndexOf("/", at - 1)) {
      paths.add(parent.slice(0, at));
    }
    // A folder of the listing that is a link on disk is taken as the link.
    if (isSymlink || isDirectory || isFile) paths.add(real);
  } catch (error) {
    // Packages may list what the machine's owner has left out.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function readable(path: string): Promise<boolean> {
  try {
    (await Deno.open(path)).close();
    return true;
  } catch {
    return false;
  }
}

/** The shared libraries that the programs among these paths load. */
async function libraries(paths: readonly string[]): Promise<string[]> {
  const programs = paths.filter((path) => /^(\/usr)?\/s?bin\//.test(path));
  // It ends with 1 as soon as one of them is a script.
  const { stdout } = await attempt(["ldd", ...programs]);
  const found: string[] = [];
  for (const [, path = ""] of stdout.matchAll(/ => (\/\S+)/g)) {
    found.push(path, await Deno.realPath(path));
  }
  return [...new Set(found)];
}
