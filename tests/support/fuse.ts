/**
 * File systems in user space, for tests as a plain user.
 *
 * @module
 */

const device = "/dev/fuse";

/**
 * Let everybody open the device, as udev does it on a usual machine. Disposing puts back what it was.
 *
 * @throws {Error} when it is missing, or closed and not root's to open
 */
export async function openFuse(): Promise<AsyncDisposable> {
  const { mode } = await Deno.stat(device);
  if (mode === null) throw new Error(`${device} has no mode`);
  const before = mode & 0o777;
  if (before === 0o666) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  await Deno.chmod(device, 0o666);
  return { [Symbol.asyncDispose]: () => Deno.chmod(device, before) };
}
