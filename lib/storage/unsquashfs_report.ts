/**
 * What `unsquashfs` says on standard error of an image that it could unpack in part.
 *
 * @module
 */

/** What was left out of an image. */
export interface UnpackSummary {
  readonly skippedDevices: number;
  /** Extended attributes that the file system, or the caller's rights, did not allow. */
  readonly skippedXattrs: number;
}

// Source: unsquashfs.c and unsquashfs_xattr.c of squashfs-tools 4.3 to 4.6. Names may hold anything,
// line ends too, so a message ends with the reason and not with the line.
const device = /^create_inode: (?:failed to|could not) create (?:block|character) device /;
const xattr = /^write_xattr: (?:failed to|could not) write xattr /;
const reason = /,? because [^\n]*$/;
const advice =
  /^(?:Ignoring xattrs in filesystem|(?:write_xattr: )?[Tt]o avoid this error message, .*)$/;

/** Reads the lines as they come. */
export class UnsquashfsReport {
  #rest = "";
  #open: "device" | "xattr" | undefined;
  #devices = 0;
  #xattrs = 0;
  #others = 0;

  /** Take a part of the text, cut anywhere. */
  add(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#take(line);
  }

  /**
   * The end of the text.
   *
   * @returns what was left out; `undefined` when something else went wrong as well
   */
  end(): UnpackSummary | undefined {
    this.#take(this.#rest);
    this.#rest = "";
    if (this.#others > 0 || this.#open !== undefined) return undefined;
    return { skippedDevices: this.#devices, skippedXattrs: this.#xattrs };
  }

  #take(line: string): void {
    if (this.#open === undefined) {
      if (device.test(line)) this.#open = "device";
      else if (xattr.test(line)) this.#open = "xattr";
      else if (line.trim() !== "" && !advice.test(line)) this.#others++;
    }
    if (this.#open === undefined || !reason.test(line)) return;
    if (this.#open === "device") this.#devices++;
    else this.#xattrs++;
    this.#open = undefined;
  }
}
