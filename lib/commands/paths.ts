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

/** What an image file is called without its folder and the suffix of an image. */
export function imageName(path: string): string {
  const file = path.slice(path.lastIndexOf("/") + 1);
  return file.replace(/\.(?:sqsh|squashfs|sqfs|zfs)$/, "");
}
