/**
 * Whether this machine can run others on its processor, or must emulate them.
 *
 * @module
 */

/** How a machine is run. */
export interface Accelerator {
  /** Options of QEMU. */
  readonly options: readonly string[];
  /** Words for the kernel's command line. */
  readonly kernel: readonly string[];
}

// QEMU 7.2 keeps what it has translated by virtual address. With programs at another one each time it
// translates all of a program at every start, which then takes two to three times as long.
const emulated: Accelerator = {
  options: ["-accel", "tcg,thread=multi"],
  kernel: ["norandmaps"],
};
const accelerated: Accelerator = { options: ["-accel", "kvm"], kernel: [] };
/** In seconds; a kernel that finds nothing to start from is done in one. */
const limit = "5";

/**
 * The fastest way that works.
 *
 * In many virtual machines /dev/kvm is there, and what is run with it never gets anywhere. So a kernel
 * is run with it first, that ends by itself.
 */
export async function acceleratorFor(kernel: string): Promise<Accelerator> {
  try {
    (await Deno.open("/dev/kvm", { read: true, write: true })).close();
  } catch {
    return emulated;
  }
  const { success } = await new Deno.Command("timeout", {
    args: [
      ...["--signal=KILL", limit, "setpriv", "--pdeathsig", "KILL", "--"],
      ...["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot"],
      ...["-display", "none", ...accelerated.options, "-cpu", "max", "-m", "256M"],
      ...["-kernel", kernel, "-append", "panic=-1"],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output();
  return success ? accelerated : emulated;
}
