/**
 * A bed with one small container in it, for tests of what starts.
 *
 * @module
 */

import { Bed, type User } from "./bed.ts";
import { makeBusyboxImage } from "./busybox_image.ts";
import type { Result } from "./command.ts";
import { openToAll } from "./fixture.ts";

/** A bed with a container named `box`. Disposing of it removes all of it. */
export class Box implements AsyncDisposable {
  private constructor(readonly bed: Bed) {}

  /** Make it for a user. */
  static async make(user: User): Promise<Box> {
    const bed = await Bed.make(user);
    try {
      await makeBusyboxImage(`${bed.work}/layout`, "box");
      await openToAll(`${bed.work}/layout`);
      await bed.succeed(["load", "-n", "box", `oci:${bed.work}/layout:box`]);
      await Deno.remove(`${bed.work}/layout`, { recursive: true });
      // The image's own commands are all that runs.
      await Deno.remove(`${bed.data}/box/etc/rc`);
      return new Box(bed);
    } catch (error) {
      await bed[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The container's root folder. */
  get root(): string {
    return `${this.bed.data}/box`;
  }

  /** Run shell text in the container. */
  sh(text: string, options: readonly string[] = []): Promise<Result> {
    return this.bed.enroot(["start", ...options, "box", "sh", "-c", text]);
  }

  /** Run shell text in the container, which must succeed, for what it prints. */
  succeed(text: string, options: readonly string[] = []): Promise<string> {
    return this.bed.succeed(["start", ...options, "box", "sh", "-c", text]);
  }

  /**
   * Put a file into a folder of the configuration, executable when it is a hook.
   *
   * @param path for example `hooks.d/10-x.sh`
   */
  async configure(
    whose: "system" | "user",
    path: string,
    text: string,
    mode = path.startsWith("hooks.d/") ? 0o755 : 0o644,
  ): Promise<void> {
    const { sysconf, home } = this.bed;
    const file = `${whose === "system" ? sysconf : `${home}/.config/enroot`}/${path}`;
    await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(file, text);
    await Deno.chmod(file, mode);
    await this.bed.own();
  }

  /** Put a file into the working folder. @returns its path */
  async file(name: string, text: string): Promise<string> {
    const path = `${this.bed.work}/${name}`;
    await Deno.writeTextFile(path, text);
    await this.bed.own();
    return path;
  }

  /** Take away what {@linkcode configure} put there. */
  async unconfigure(): Promise<void> {
    const { sysconf, home } = this.bed;
    for (const folder of ["hooks.d", "mounts.d", "environ.d"]) {
      for (const parent of [sysconf, `${home}/.config/enroot`]) {
        await Deno.remove(`${parent}/${folder}`, { recursive: true }).catch(() => {});
      }
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.bed[Symbol.asyncDispose]();
  }
}
