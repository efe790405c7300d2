/**
 * The client that does what the pyxis plugin of Slurm does, and what it must find.
 *
 * @module
 */

import type { Bed } from "./bed.ts";
import { attempt, type Result } from "./command.ts";

const client = new URL("pyxis.pl", import.meta.url).pathname;

/** The importer, as it is in the checkout. */
export const importer = new URL("../../packaging/share/enroot-pyxis-importer", import.meta.url)
  .pathname;

/** What the container's root must hold in a file `mark`. */
export const mark = "inside\n";

/**
 * The variables that a job on this bed has: no home and no session.
 *
 * A user without an entry in passwd has no cache of his own either; root has, and a test must not fill it.
 */
export function jobEnv(bed: Bed): Record<string, string> {
  return {
    ...(bed.user === "root" ? { ENROOT_CACHE_PATH: `${bed.home}/.cache/enroot` } : {}),
    PATH: "/usr/bin:/bin",
    ENROOT_ALLOW_HTTP: "y",
    ENROOT_DATA_PATH: bed.data,
    ENROOT_RUNTIME_PATH: `${bed.runtime}/job`,
    ENROOT_TEMP_PATH: bed.temp,
    ENROOT_SYSCONF_PATH: bed.sysconf,
  };
}

/** What pyxis adds to that for an importer, and the importer itself beside the bed's executable. */
export async function useImporter(
  bed: Bed,
): Promise<{ path: string; env: Record<string, string> }> {
  const folder = bed.executable.slice(0, bed.executable.lastIndexOf("/"));
  const path = `${folder}/enroot-pyxis-importer`;
  await Deno.copyFile(importer, path);
  await Deno.chmod(path, 0o755);
  return {
    path,
    env: {
      PATH: `${folder}:/usr/bin:/bin`,
      ENROOT_CACHE_PATH: `${bed.home}/.cache/enroot`,
      PYXIS_RUNTIME_PATH: `${bed.runtime}/pyxis`,
      PYXIS_VERSION: "0.21.0",
    },
  };
}

/**
 * The client's command line, for a container in the bed's store. Its configuration script, and what it
 * makes on its way, go into the bed's working folder.
 *
 * @param image what it makes the container of, and removes it again; absent: the container is there
 * @param through the path of an importer that it gets the image from
 */
export async function pyxisArgv(
  bed: Bed,
  name: string,
  image?: string,
  through?: string,
): Promise<string[]> {
  const conf = `${bed.work}/conf`;
  await Deno.writeTextFile(
    conf,
    `environ() { echo FROM_CONF=1; }\nmounts() { echo "${bed.work} /mnt x-create=auto,rbind"; }\n` +
      'rc() { if [ $# -gt 0 ]; then exec "$@"; fi; exec /bin/sh; }\n',
  );
  await bed.own();
  const made = image === undefined ? [] : [image, bed.work];
  if (through !== undefined) made.push(through);
  // By its text: the checkout may be closed to others.
  const text = await Deno.readTextFile(client);
  return ["perl", "-e", text, bed.executable, String(bed.uid), conf, name, ...made];
}

/** Run the client with the variables of a job that is no job of a real Slurm. */
export async function pyxis(
  bed: Bed,
  name: string,
  image?: string,
  env: Record<string, string> = {},
  through: string | undefined = undefined,
): Promise<Result> {
  return await attempt(await pyxisArgv(bed, name, image, through), {
    env: { ...jobEnv(bed), SLURM_JOB_ID: "7", ...env },
    clearEnv: true,
    cwd: bed.work,
  });
}

/** What {@linkcode pyxisFinds} is with an importer. */
export function pyxisFindsThroughImporter(name: string, image: string, job = "7"): string {
  return pyxisFinds(name, image, job).replace(
    "import 0\ncreate 0\n",
    "get 0\ncreate 0\nrelease 0\n",
  ) +
    "release 0\n";
}

/** What the client prints when all is as it should be, with the same arguments. */
export function pyxisFinds(name: string, image?: string, job = "7"): string {
  const around = (...lines: string[]): string[] => image === undefined ? [] : lines;
  return [
    ...around("import 0", "create 0"),
    "stopped",
    "user its own",
    "mnt its own",
    "cgroup its own",
    "variable FROM_CONF=1",
    mark.trimEnd(),
    "/mnt/conf",
    "/",
    `job ${job}`,
    "joined 0",
    "list 0",
    `listed ${name} as it is`,
    "ended 0",
    ...around("export 0", "remove 0", "load 0", "remove 0"),
    "",
  ].join("\n");
}
