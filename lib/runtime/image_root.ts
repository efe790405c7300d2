/**
 * The root folder of a container that is started from an image file: made in the namespaces of the
 * container, and gone with them.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { AT, close, must, O, openAt } from "../sys/at.ts";
import { cstring, SysError } from "../sys/libc.ts";
import { changeFolder, MNT_DETACH, mount, MS, unmount } from "../sys/mount.ts";
import { likeLower } from "./image_server.ts";
import type { Plan } from "./plan.ts";

/** The name of the root folder below the runtime path. */
export const rootName = "rootfs";

/**
 * Make it: on a tmpfs on the runtime path, the image's file system, with an overlay of the kernel's on it
 * unless its server has one.
 *
 * @param mounted the mount of the image's file system, attached nowhere; closed on the way
 * @throws {EnrootError} code `no-overlay`; {@linkcode SysError} when something else cannot be mounted
 */
export function mountImage(
  { runtimePath, image }: Pick<Plan, "runtimePath" | "image">,
  mounted: number,
): void {
  using here = currentFolder();
  mount({
    source: "tmpfs",
    target: runtimePath,
    type: "tmpfs",
    flags: MS.NOSUID | MS.NODEV,
    data: "mode=0700",
  });
  // Relative paths have nothing in them that an overlay would take for a separator.
  changeFolder(runtimePath);
  Deno.mkdirSync(rootName);
  if (image === "overlay") overlay(mounted);
  else {
    attach(mounted, rootName);
    // The server had it without access times, unlike any other root folder.
    const flags = MS.REMOUNT | MS.BIND | MS.NOSUID | MS.NODEV | MS.RELATIME;
    mount({ target: rootName, flags });
  }
  close(mounted);
  here.back();
}

function attach(mounted: number, target: string): void {
  mount({ source: `/proc/self/fd/${mounted}`, target, flags: MS.MOVE });
}

function overlay(mounted: number): void {
  for (const name of ["lower", "upper", "work"]) Deno.mkdirSync(name);
  attach(mounted, "lower");
  likeLower("lower", "upper");
  const layers = "lowerdir=lower,upperdir=upper,workdir=work";
  const call = { source: "overlay", target: rootName, type: "overlay", flags: 0 };
  try {
    // Only root of the host may keep its notes in the attributes of the system.
    mount({ ...call, data: isInitialUserNamespace() ? layers : `${layers},userxattr` });
  } catch (error) {
    throw new EnrootError(
      "no-overlay",
      `cannot mount an overlay on the image: ${reasonOf(error)}: ` +
        "install fuse-overlayfs and set ENROOT_NATIVE_OVERLAYFS=n",
      { cause: error },
    );
  }
  // The overlay has it for itself.
  unmount("lower", MNT_DETACH);
}

/** The map of the first user namespace says of every ID that it is itself. Source: user_namespaces(7). */
function isInitialUserNamespace(): boolean {
  return /^\s*0\s+0\s+4294967295\s*$/.test(Deno.readTextFileSync("/proc/self/uid_map"));
}

/** The working folder, to come back to. */
function currentFolder(): Disposable & { back(): void } {
  const folder = must(openAt(AT.FDCWD, cstring("."), O.PATH | O.DIRECTORY), "open", ".");
  return {
    back(): void {
      try {
        changeFolder(`/proc/self/fd/${folder}`);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        changeFolder("/");
      }
    },
    [Symbol.dispose]: () => close(folder),
  };
}
