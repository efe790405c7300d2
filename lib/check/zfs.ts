/**
 * What the zfs backend needs: a store, the permissions on it, and for plain users the mount helper.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { helperPath } from "../process/assets.ts";
import { callerEnvironment } from "../process/caller.ts";
import { run } from "../process/run.ts";
import { allowCommand, permissions } from "../storage/zfs/delegation.ts";
import { locateStore, type StoreLocation } from "../storage/zfs/store_dataset.ts";
import { AT, close, O, openAt } from "../sys/at.ts";
import { cstring } from "../sys/libc.ts";
import { mountFlagsOf, MS } from "../sys/mount.ts";
import { fileHasCapability } from "./file_capability.ts";
import { fail, type Finding, ok } from "./finding.ts";
import { checkStoreMount } from "./store_mount.ts";
import { checkTemplateStore, checkUseOfTemplates } from "./template_store.ts";
import { lackingPermissions, type Subject } from "./zfs_allow.ts";

/** How long `zfs` may take, in milliseconds: a pool may be suspended. */
const patience = 20_000;

/**
 * Look at the store of a user.
 *
 * @param templateStore `ENROOT_TEMPLATE_STORE`, where it is set
 */
export async function checkZfs(
  dataPath: string,
  uid: number,
  templateStore?: string,
): Promise<Finding[]> {
  const isRoot = uid === 0;
  const found = [checkDevice()];
  let store: StoreLocation | undefined;
  try {
    store = locateStore(dataPath, uid);
    found.push(ok("store", `${store.path} is the dataset ${store.dataset}`));
    if (store.owner !== 0) found.push(checkStoreMount(store));
  } catch (error) {
    if (!(error instanceof EnrootError)) throw error;
    found.push(split("store", error.message));
  }
  if (isRoot) {
    return templateStore === undefined ? found : [...found, checkTemplateStore(templateStore)];
  }
  found.push(checkHelper());
  if (store !== undefined) found.push(await checkDelegation(store, uid));
  if (templateStore !== undefined) {
    const signal = AbortSignal.timeout(patience);
    const subject = await subjectOf(uid, signal);
    found.push(await checkUseOfTemplates(templateStore, subject, signal));
  }
  return found;
}

function checkDevice(path = "/dev/zfs"): Finding {
  try {
    Deno.openSync(path, { read: true, write: true }).close();
    return ok("zfs module", path);
  } catch (error) {
    const isThere = !(error instanceof Deno.errors.NotFound);
    return fail(
      "zfs module",
      `${path} ${isThere ? `cannot be opened: ${reasonOf(error)}` : "is missing"}`,
      isThere
        ? `as root, run: chmod 666 ${path} (and keep it so by a udev rule)`
        : "as root, run: modprobe zfs (Debian's package zfs-dkms)",
    );
  }
}

/** The helper that mounts for plain users, its capability, and whether that is in force where it lies. */
export function checkHelper(find: () => string = () => helperPath("enroot-zfs-mount")): Finding {
  const name = "enroot-zfs-mount";
  let path: string;
  try {
    path = find();
  } catch (error) {
    if (!(error instanceof EnrootError)) throw error;
    return split(name, error.message);
  }
  if (!fileHasCapability(path, "CAP_SYS_ADMIN")) {
    return fail(
      name,
      `${path} lacks its capability`,
      `as root, run: setcap cap_sys_admin+ep ${path}`,
    );
  }
  const file = openAt(AT.FDCWD, cstring(path), O.PATH);
  const flags = file < 0 ? 0 : mountFlagsOf(file, path);
  if (file >= 0) close(file);
  if ((flags & MS.NOSUID) !== 0) {
    return fail(
      name,
      `${path} lies on a file system that is mounted nosuid, where capabilities have no effect`,
      "as root, run 'enroot install-helper' for a folder elsewhere, with the executable in it",
    );
  }
  return ok(name, `${path} has its capability`);
}

async function checkDelegation(store: StoreLocation, uid: number): Promise<Finding> {
  const name = "zfs permissions";
  const { dataset } = store;
  try {
    const signal = AbortSignal.timeout(patience);
    const text = await run(["zfs", "allow", "--", dataset], { signal });
    const lacking = lackingPermissions(text, dataset, await subjectOf(uid, signal), permissions);
    if (lacking.length === 0) return ok(name, `all that is needed on ${dataset}`);
    return fail(
      name,
      `on ${dataset} these are missing: ${lacking.join(" ")}`,
      `as root, run: ${allowCommand(store)}`,
    );
  } catch (error) {
    if (!(error instanceof EnrootError) && !(error instanceof DOMException)) throw error;
    return fail(
      name,
      `they cannot be read: ${reasonOf(error)}`,
      `as root, run: ${allowCommand(store)}`,
    );
  }
}

/** The names that `zfs allow` shows for this user; id(1) knows them of every kind of database. */
async function subjectOf(uid: number, signal: AbortSignal): Promise<Subject> {
  const environment = callerEnvironment();
  const ask = async (...options: string[]): Promise<string> =>
    (await run(["id", ...options], { environment, signal }).catch(() => "")).trim();
  const name = await ask("-un");
  const groups = (await ask("-Gn")).split(/\s+/).filter((each) => each !== "");
  return { uid, groups, ...(name === "" ? {} : { name }) };
}

/** A message of the store says what is wrong, and after the first `: ` or `(…): ` what to do. */
function split(name: string, message: string): Finding {
  const [, detail, remedy] = /^(.*?): ((?:as root|make|set).*)$/s.exec(message) ?? [];
  return fail(name, detail ?? message, remedy ?? "see docs/zfs.md");
}
