/**
 * The user inside the container, by the container's own files.
 *
 * @module
 */

/** What the container says of a user. */
export interface ContainerUser {
  readonly name: string;
  readonly home: string;
  readonly shell: string;
}

/** The text of a file in the container; `undefined` when there is none. */
export type ReadText = (path: string) => string | undefined;

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * The user of an id. Source: passwd(5).
 *
 * @param fallbackName what he is called when the container does not know him
 */
export function userOf(uid: number, read: ReadText, fallbackName: string): ContainerUser {
  const fields = (read("/etc/passwd") ?? "").split("\n").map((line) => line.split(":"))
    .find((each) => each[2] === String(uid));
  const [name, , , , , home, shell] = fields ?? [];
  return {
    name: name || fallbackName,
    home: home?.startsWith("/") ? home : "/",
    shell: shell?.startsWith("/") ? shell : "/bin/sh",
  };
}

/**
 * What a login would set, for variables that nothing else has set.
 *
 * Sources: login.defs(5), locale.conf(5), and `/etc/default/locale` of Debian.
 */
export function addLoginEnvironment(
  environment: Map<string, string>,
  user: ContainerUser,
  isRoot: boolean,
  read: ReadText,
): void {
  const definitions = read("/etc/login.defs") ?? "";
  const defined = (name: string): string | undefined =>
    new RegExp(`^\\s*${name}\\s+(?:PATH=|TZ=)?"?([^"\\n]*?)"?\\s*$`, "m").exec(definitions)?.[1];
  const set = (name: string, value: string | undefined): void => {
    if (value !== undefined && value !== "" && !environment.has(name)) environment.set(name, value);
  };
  set("TERM", "dumb");
  set("HOME", user.home);
  set("SHELL", user.shell);
  set("USER", user.name);
  set("LOGNAME", user.name);
  set("PATH", defined(isRoot ? "ENV_SUPATH" : "ENV_PATH") ?? defaultPath);
  set("TZ", timeZone(defined("ENV_TZ")));
  for (const line of (read("/etc/locale.conf") ?? read("/etc/default/locale") ?? "").split("\n")) {
    const [, name, value] = /^\s*(LANG|LANGUAGE|LC_[A-Z]+)=["']?([^"']*?)["']?\s*$/.exec(line) ??
      [];
    if (name !== undefined) set(name, value);
  }
}

/** A file name in the place of a zone is not read: the container's localtime says the same. */
function timeZone(definition: string | undefined): string | undefined {
  return definition?.startsWith("/") ? undefined : definition;
}
