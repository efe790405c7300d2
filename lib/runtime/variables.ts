/**
 * `${NAME}` in configuration files of a start.
 *
 * @module
 */

const reference = /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g;

/**
 * Replace each `${NAME}` by what it stands for; a name that is not there stands for nothing. What is put
 * in is not looked at again, so `${ENROOT_DOLLAR}{NAME}` comes out as `${NAME}`: that is how importing
 * writes it when an image means the text itself.
 */
export function expandVariables(
  text: string,
  variables: Readonly<Record<string, string>>,
): string {
  return text.replaceAll(
    reference,
    (_, name: string) =>
      name === "ENROOT_DOLLAR" ? "$" : Object.hasOwn(variables, name) ? variables[name] ?? "" : "",
  );
}
