/**
 * A template from its making to its use.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import type { Template, TemplateReference } from "../storage/store.ts";

/** How often a template is obtained that is not there any more when it is to be used. */
const most = 3;

/**
 * Obtain a template and use it. One that was built for this stays until it is let go of, but one that was
 * found may be removed by another command before it is used: then it is obtained again.
 *
 * @param use says by an error of code `no-template` that it is gone
 * @throws what both throw
 */
export async function useTemplate(
  obtain: () => Promise<Template>,
  use: (template: TemplateReference) => Promise<void>,
): Promise<void> {
  for (let tries = 1;; tries++) {
    await using template = await obtain();
    try {
      return await use(template);
    } catch (error) {
      const isGone = error instanceof EnrootError && error.code === "no-template";
      if (!isGone || tries === most) throw error;
    }
  }
}
