/**
 * Giving up what a container must not have.
 *
 * These are properties of threads: they reach what this thread executes.
 *
 * @module
 */

import { bindLibc } from "./bind.ts";
import { checked } from "./libc.ts";

const libc = bindLibc({
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
  capset: { parameters: ["buffer", "buffer"], result: "i32" },
});

// linux/prctl.h, linux/capability.h
const PR_CAPBSET_READ = 23;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4n;
const capabilityVersion3 = 0x20080522;

/** Programs that are executed from here on gain no privileges. @throws {SysError} */
export function setNoNewPrivileges(): void {
  checked("prctl", "no_new_privs", () => libc.prctl(PR_SET_NO_NEW_PRIVS, 1n, 0n, 0n, 0n));
}

/** Drop every capability, from all sets, the bounding set included. @throws {SysError} */
export function dropCapabilities(): void {
  for (
    let capability = 0n;
    libc.prctl(PR_CAPBSET_READ, capability, 0n, 0n, 0n) >= 0;
    capability++
  ) {
    const drop = (): number => libc.prctl(PR_CAPBSET_DROP, capability, 0n, 0n, 0n);
    checked("prctl", `capability ${capability}`, drop);
  }
  const clear = (): number => libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0n, 0n, 0n);
  checked("prctl", "ambient capabilities", clear);
  const header = new Uint32Array([capabilityVersion3, 0]);
  const none = new Uint8Array(24);
  checked("capset", "capabilities", () => libc.capset(new Uint8Array(header.buffer), none));
}
