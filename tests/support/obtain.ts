/**
 * Templates for tests that use them later, or never.
 *
 * @module
 */

import type { Store, Template, TemplateRequest } from "../../lib/storage/store.ts";

/** Obtain a template and let go of it: a sweep may take it from then on. */
export async function obtain(store: Store, request: TemplateRequest): Promise<Template> {
  const template = await store.obtainTemplate(request);
  await template[Symbol.asyncDispose]();
  return template;
}
