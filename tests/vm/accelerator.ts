/**
 * Whether this machine can run others on its processor, or must emulate them.
 *
 * @module
 */

const emulated = ["-accel", "tcg,thread=multi"];
const accelerated = ["-accel", "kvm"];
/** In seconds; a kernel that finds nothing to start from is done in one. */
const limit = "5";

/**
 * The options of QEMU for the fastest way that works.
 *
 * In many virtual machines /dev/kvm is there, and what is run with it never gets anywhere. So a kernel
 * is run with it first, that ends by itself.
 */
export async function accelerator(kernel: string): Promise<readonly string[]> {
  try {
    (await Deno.open("/dev/kvm", { read: true, write: true })).close();
  } catch {
    return emulated;
  }
  const { success } = await new Deno.Command("timeout", {
    args: [
      ...["--signal=KILL", limit, "setpriv", "--pdeathsig", "KILL", "--"],
      ...["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot"],
      ...["-display", "none", ...accelerated, "-cpu", "max", "-m", "256M"],
      ...["-kernel", kernel, "-append", "panic=-1"],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output();
  return success ? accelerated : emulated;
}
