/**
 * What is run in a container.
 *
 * @module
 */

/** A program with its arguments. */
export interface Invocation {
  /** In the container, absolute. */
  readonly path: string;
  /** Its name first. */
  readonly argv: readonly string[];
}

/** What the choice depends on. */
export interface CommandFacts {
  /** The user's shell in the container, or `/bin/sh`. */
  readonly shell: string;
  readonly loginShell: boolean;
  /** Whether there is an `/etc/rc`, the container's or one in its place. */
  readonly hasRc: boolean;
  /** The permissions of a regular file in the container, `undefined` for anything else. */
  readonly fileMode: (path: string) => number | undefined;
}

/**
 * The program that a command line means.
 *
 * With `/etc/rc` the shell runs that, with the command as its arguments. Without: a command with a
 * space in its first word is shell text; a readable file that cannot be executed is a script; anything
 * else is executed; no command at all is an interactive shell.
 */
export function invocationOf(command: readonly string[], facts: CommandFacts): Invocation {
  const { shell, loginShell, hasRc, fileMode } = facts;
  const name = shell.slice(shell.lastIndexOf("/") + 1);
  const withShell = (...args: string[]): Invocation => ({
    path: shell,
    argv: [loginShell ? `-${name}` : name, ...args],
  });
  if (hasRc) return withShell("/etc/rc", ...command);
  const [first, ...rest] = command;
  if (first === undefined) return withShell();
  if (first.includes(" ")) return withShell("-c", first, name, ...rest);
  const mode = first.includes("/") ? fileMode(first) : undefined;
  const isScript = mode !== undefined && (mode & 0o111) === 0;
  return isScript ? withShell(first, ...rest) : withShell("-c", 'exec "$@"', name, ...command);
}
