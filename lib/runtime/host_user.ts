/**
 * The caller, as the host's user database knows him: NSS, through getent(1).
 *
 * This is asked outside of the namespaces: inside, the kernel shows supplementary groups as nobody's.
 *
 * @module
 */

import { callerEnvironment } from "../process/caller.ts";
import { CommandError, runBriefly } from "../process/run.ts";
import { existsSync } from "../sys/exists.ts";

/** A group of the host. */
export interface HostGroup {
  readonly name: string;
  readonly gid: number;
}

/** A user of the host. */
export interface HostUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly gecos: string;
  /** Absolute. */
  readonly home: string;
  readonly shell: string;
  /** Those of the process, the primary one first; without those that have no name. */
  readonly groups: readonly HostGroup[];
}

/** Where a database's lines come from. */
export interface UserDatabase {
  /** The text of a file; `undefined` when it cannot be read. */
  read(path: string): string | undefined;
  /** Whether something is there. */
  exists(path: string): boolean;
  /** Lines of a database for keys; those that it does not have are left out. */
  getent(database: "passwd" | "group", keys: readonly string[]): Promise<string>;
}

/** How long a directory service may take, in seconds. */
const patience = 10;

const ofThisHost: UserDatabase = { read, exists: existsSync, getent };

/**
 * The user of this process; `undefined` when the host has no entry for him.
 *
 * The files of `/etc` are looked at first, because `getent` is a process; it is asked for what they do
 * not have, once a database. A service that does not answer within ten seconds counts as not having it.
 */
export async function hostUser(
  ids: { readonly uid: number; readonly gids: readonly number[] } = idsOfThisProcess(),
  database: UserDatabase = ofThisHost,
): Promise<HostUser | undefined> {
  const [users, lines] = await Promise.all([
    linesOf("passwd", [ids.uid], database),
    linesOf("group", [...new Set(ids.gids)], database),
  ]);
  const [name, , uid, gid, gecos = "", home, shell] = users[0] ?? [];
  if (name === undefined || Number(uid) !== ids.uid || !isId(gid)) return undefined;
  return {
    name,
    uid: ids.uid,
    gid: ids.gids[0] ?? Number(gid),
    gecos,
    home: home?.startsWith("/") ? home : "/",
    shell: shell?.startsWith("/") ? shell : "/bin/sh",
    groups: lines.map(([group = "", , number]) => ({ name: group, gid: Number(number) })),
  };
}

/** The fields of each id's line, in the order of the ids. */
async function linesOf(
  name: "passwd" | "group",
  ids: readonly number[],
  database: UserDatabase,
): Promise<string[][]> {
  const found = new Map<number, string[]>();
  const take = (text: string): void => {
    for (const line of text.split("\n")) {
      const fields = line.split(":");
      const [key, , id] = fields;
      // The first line of an id counts, as for getpwuid(3). Other characters would break the container's.
      if (!key || !isId(id) || line.includes("\0") || found.has(Number(id))) continue;
      if (ids.includes(Number(id))) found.set(Number(id), fields);
    }
  };
  take(database.read(`/etc/${name}`) ?? "");
  const missing = ids.filter((id) => !found.has(id));
  if (missing.length > 0 && hasServices(name, database)) {
    take(await database.getent(name, missing.map(String)));
  }
  return ids.map((id) => found.get(id)).filter((fields) => fields !== undefined);
}

/**
 * Whether anything but the files of `/etc` may know users or groups.
 *
 * Sources: nsswitch.conf(5); nss-systemd(8), which asks whoever has a socket in that folder.
 */
function hasServices(name: "passwd" | "group", { read, exists }: UserDatabase): boolean {
  const [, services] = new RegExp(`^\\s*${name}:([^#\\n]*)`, "m").exec(
    read("/etc/nsswitch.conf") ?? "",
  ) ?? [];
  if (services === undefined) return true;
  return services.trim().split(/\s+/).some((service) =>
    service !== "files" && (service !== "systemd" || exists("/run/systemd/userdb"))
  );
}

function isId(text: string | undefined): text is string {
  return text !== undefined && /^\d{1,10}$/.test(text);
}

/** The ids of this process; the primary group first. Source: proc_pid_status(5). */
function idsOfThisProcess(): { uid: number; gids: number[] } {
  const [, list = ""] = /^Groups:(.*)$/m.exec(read("/proc/self/status") ?? "") ?? [];
  const groups = list.split(/\s+/).filter(isId).map(Number);
  return { uid: Deno.uid() ?? 0, gids: [Deno.gid() ?? 0, ...groups] };
}

function read(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}

async function getent(database: "passwd" | "group", keys: readonly string[]): Promise<string> {
  try {
    // Ending it from here would take the streams of the runtime, which cost more than all of this.
    const argv = ["timeout", String(patience), "getent", database, ...keys];
    return await runBriefly(argv, callerEnvironment());
  } catch (error) {
    // It fails when it lacks one of the keys, and prints the others all the same.
    return error instanceof CommandError ? error.stdout : "";
  }
}
