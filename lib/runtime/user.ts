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
  const fields = linesOf(read("/etc/passwd")).map((line) => line.split(":", 7))
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
  const definitions = linesOf(read("/etc/login.defs"));
  const defined = (name: string): string | undefined => {
    for (const line of definitions) {
      const [first, ...rest] = line.trim().split(/[ \t]+/);
      if (first !== name || rest.length === 0) continue;
      return unquote(rest.join(" ").replace(/^(?:PATH|TZ)=/, ""));
    }
  };
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
  for (const line of linesOf(read("/etc/locale.conf") ?? read("/etc/default/locale"))) {
    const [, name, value] = /^(LANG|LANGUAGE|LC_[A-Z]+)=(.*)$/s.exec(line.trim()) ?? [];
    if (name !== undefined && value !== undefined) set(name, unquote(value));
  }
}

/**
 * Lines of a file of the image, which may hold anything: what reads them must take time in proportion.
 * A line that holds a NUL can mean nothing that a program could be given.
 */
function linesOf(text: string | undefined): string[] {
  return (text ?? "").split("\n").filter((line) => !line.includes("\0"));
}

function unquote(text: string): string {
  const [quote] = text;
  const isQuoted = text.length > 1 && (quote === '"' || quote === "'") && text.endsWith(quote);
  return isQuoted ? text.slice(1, -1) : text;
}

/** A file name in the place of a zone is not read: the container's localtime says the same. */
function timeZone(definition: string | undefined): string | undefined {
  return definition?.startsWith("/") ? undefined : definition;
}
