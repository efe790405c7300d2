/**
 * Paths as users type them.
 *
 * @module
 */

/** A path as an absolute one, without `.` and doubled slashes; `..` is left to the kernel. */
export function absolute(path: string): string {
  const whole = path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
  const parts = whole.split("/").filter((part) => part !== "" && part !== ".");
  return `/${parts.join("/")}`;
}
