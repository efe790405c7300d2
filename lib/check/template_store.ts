/**
 * What the shared store of templates needs (`ENROOT_TEMPLATE_STORE`).
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { run } from "../process/run.ts";
import { hasIdmappedMounts } from "../storage/zfs/idmapped_mounts.ts";
import { pathOfDataset } from "../storage/zfs/store_dataset.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";
import { lackingPermissions, type Subject } from "./zfs_allow.ts";

const name = "template store";

/** Whether root can fill it. @param dataset `ENROOT_TEMPLATE_STORE` */
export function checkTemplateStore(dataset: string): Finding {
  try {
    return ok(name, `${dataset} is mounted at ${pathOfDataset(dataset)}, for root to fill`);
  } catch (error) {
    if (!(error instanceof EnrootError)) throw error;
    return fail(name, error.message, "see docs/zfs.md, Several users");
  }
}

/** Whether a user gets templates from it. @param dataset `ENROOT_TEMPLATE_STORE` */
export async function checkUseOfTemplates(
  dataset: string,
  subject: Subject,
  signal: AbortSignal,
): Promise<Finding> {
  if (!hasIdmappedMounts()) {
    return warn(
      name,
      "this Linux or its OpenZFS has no idmapped mounts, so each user fills templates of his own",
      "use Linux 5.12 and OpenZFS 2.3, or newer",
    );
  }
  const remedy = `as root, run: zfs allow -e clone ${dataset}`;
  try {
    const text = await run(["zfs", "allow", "--", dataset], { signal });
    return lackingPermissions(text, dataset, subject, ["clone"]).length === 0
      ? ok(name, `what root has filled in ${dataset} may be cloned`)
      : fail(name, `what root has filled in ${dataset} may not be cloned`, remedy);
  } catch (error) {
    if (!(error instanceof EnrootError) && !(error instanceof DOMException)) throw error;
    return fail(name, `the permissions on ${dataset} cannot be read: ${reasonOf(error)}`, remedy);
  }
}
