/**
 * What is loaded only when it is asked for: all that no job waits for.
 *
 * The executable consists of few parts, because each that a command loads costs it time: what makes,
 * starts, lists and removes containers is one, and this is the other.
 *
 * @module
 */

export { command as bundleCommand } from "./bundle.ts";
export { command as cacheCommand } from "./cache.ts";
export { command as cdiCommand } from "./cdi.ts";
export { command as checkCommand } from "./check.ts";
export { command as checkpointCommand } from "./checkpoint.ts";
export { command as digestCommand } from "./digest.ts";
export { command as enterCommand } from "./enter.ts";
export { command as enterImageCommand } from "./enter_image.ts";
export { command as exportCommand } from "./export.ts";
export { command as importCommand } from "./import.ts";
export { command as installHelperCommand } from "./install_helper.ts";
export { command as loadCommand } from "./load.ts";
export { useImportedAgain } from "./pointer_file.ts";
export { command as prewarmCommand } from "./prewarm.ts";
export { command as runBundleCommand } from "./run_bundle.ts";
export { command as serveOverlayCommand } from "./serve_overlay.ts";
export { useSquashfs } from "./squashfs_file.ts";
export { command as warmCommand } from "./warm.ts";
export { useZfsFile } from "./zfs_file.ts";
export { isZfsStream } from "../storage/zfs/stream_file.ts";
