/**
 * Environment files: `/etc/environment` of the image, `environ.d/*.env`, and `--env`.
 *
 * @module
 */

/**
 * Add the lines of an environment file: `NAME=VALUE`, one pair of quotes around the value taken off,
 * `${NAME}` replaced. Comments, ill-formed lines and `ENROOT_` variables are dropped.
 *
 * @param variables what `${NAME}` stands for; a name that is not there stands for nothing
 */
export function addEnvironmentFile(
  environment: Map<string, string>,
  text: string,
  variables: Readonly<Record<string, string>>,
): void {
  for (const line of text.split("\n")) {
    const [, name, value] = /^\s*([A-Za-z_][A-Za-z0-9_.-]*)=(.*?)\r?$/.exec(line) ?? [];
    if (name === undefined || value === undefined || name.startsWith("ENROOT_")) continue;
    const [, , quoted] = /^(["'])(.*)\1$/.exec(value.trimEnd()) ?? [];
    environment.set(
      name,
      (quoted ?? value).replaceAll(
        /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g,
        (_, other) => variables[other] ?? "",
      ),
    );
  }
}

/**
 * Add what `--env` says: `NAME=VALUE`, or `NAME` for the host's value, when it has one.
 *
 * @param host the caller's environment
 */
export function addEnvironmentOption(
  environment: Map<string, string>,
  option: string,
  host: Readonly<Record<string, string>>,
): void {
  const at = option.indexOf("=");
  const name = at < 0 ? option : option.slice(0, at);
  if (name === "" || name.startsWith("ENROOT_")) return;
  const value = at < 0 ? host[name] : option.slice(at + 1);
  if (value !== undefined) environment.set(name, value);
}
