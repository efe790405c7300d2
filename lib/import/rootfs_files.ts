/**
 * The files that an image's configuration becomes: `/etc/rc`, `/etc/environment`, `/etc/fstab` and
 * `/etc/rc.local`. Their text only; no input or output.
 *
 * @module
 */

import type { ImageConfig } from "../oci/image_config.ts";

/** A file to write into a root filesystem. */
export interface RootfsFile {
  /** Its name in `/etc`. */
  readonly name: string;
  readonly content: string;
  readonly mode: number;
}

/**
 * The generated files of an image.
 *
 * @param config the image's configuration
 * @param provenance the image's URI, noted in `/etc/rc`; absent where templates are shared by URIs
 */
export function rootfsFiles(config: ImageConfig, provenance?: string): RootfsFile[] {
  return [
    { name: "rc", content: rc(config, provenance), mode: 0o755 },
    {
      name: "rc.local",
      content: "# Sourced by /etc/rc before the container's command runs.\n",
      mode: 0o755,
    },
    { name: "environment", content: environment(config), mode: 0o644 },
    { name: "fstab", content: fstab(config), mode: 0o644 },
  ];
}

function rc(config: ImageConfig, provenance: string | undefined): string {
  const { entrypoint, cmd, labels, workingDir } = config;
  const command = [...entrypoint, ...cmd];
  const lines = [
    ...Object.entries(labels)
      .sort(([a], [b]) => a < b ? -1 : 1)
      .map(([name, value]) => comment(`${name}: ${value}`)),
    ...(provenance === undefined ? [] : [comment(`enroot-provenance: ${provenance}`)]),
    "",
    ...workingDirectory(workingDir),
    "if [ -s /etc/rc.local ]; then",
    "    . /etc/rc.local",
    "fi",
    "",
    "if [ $# -gt 0 ]; then",
    `    exec ${[...entrypoint.map(quote), '"$@"'].join(" ")}`,
    "else",
    `    exec ${(command.length > 0 ? command : ["/bin/sh"]).map(quote).join(" ")}`,
    "fi",
    "",
  ];
  return lines.join("\n");
}

function workingDirectory(path: string): string[] {
  // A relative directory is one below the root, as in Docker.
  const quoted = quote(path.startsWith("/") ? path : `/${path}`);
  return [
    `mkdir -p -- ${quoted} 2> /dev/null`,
    `cd -- ${quoted} || exit 1`,
    "unset OLDPWD",
    "",
  ];
}

function environment({ env }: ImageConfig): string {
  return env.filter((line) => /^[^=\s\0]+=[^\n\0]*$/.test(line)).map((line) => {
    const at = line.indexOf("=") + 1;
    return `${line.slice(0, at)}${protectQuotes(protectReferences(line.slice(at)))}\n`;
  }).join("");
}

/** Readers of the file strip one pair of surrounding quotes: quotes that are meant get another. */
function protectQuotes(value: string): string {
  return /^(["']).*\1$/s.test(value) ? `"${value}"` : value;
}

/**
 * Readers of the file replace `${NAME}` by what the host has under that name, which an image must not
 * ask for. A variable is the escape: a reader that does not know it takes away a `$`, and gives nothing.
 */
function protectReferences(value: string): string {
  return value.replaceAll(/\$(?=\{[A-Za-z_][A-Za-z0-9_]*\})/g, () => "${ENROOT_DOLLAR}");
}

function fstab({ volumes }: ImageConfig): string {
  // What no mount can be made on is left out: it would fail every start.
  const paths = volumes.map(resolve).filter((path) => path !== "/" && !path.includes("\0"))
    .map(escapeField);
  return [...new Set(paths)].sort().map((path) =>
    "${ENROOT_ROOTFS}" + `${path} ${path} none x-create=dir,bind,rw,nosuid,nodev\n`
  ).join("");
}

/** A path without `.` and `..`, from the root. */
function resolve(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** White space and backslashes as fstab(5) writes them, and what readers would put a variable's value for. */
function escapeField(text: string): string {
  return text.replaceAll(
    /[ \t-\r\\$]/g,
    (character) => `\\${(character.codePointAt(0) ?? 0).toString(8).padStart(3, "0")}`,
  );
}

/** Text as comment lines: a line end in it must not end the comment. */
function comment(text: string): string {
  return text.split(/\r\n|\r|\n/).map((line) => `# ${line}`.trimEnd()).join("\n");
}

function quote(word: string): string {
  return /^[A-Za-z0-9_\/.,:@%+=-]+$/.test(word) && !word.startsWith("-")
    ? word
    : `'${word.replaceAll("'", `'\\''`)}'`;
}
