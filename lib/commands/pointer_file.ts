/**
 * The image that a pointer file names.
 *
 * @module
 */

import type { Config } from "../config/config.ts";
import { EnrootError } from "../errors.ts";
import { RegistryError } from "../source/registry/error.ts";
import { formatUri, type ImageUri, parseFullUri } from "../source/uri.ts";
import type { Pointer } from "../storage/pointer.ts";
import type { Store, TemplateReference } from "../storage/store.ts";
import type { Context } from "./command.ts";
import { importImage, obtainTemplate } from "./import_image.ts";
import { useTemplate } from "./use_template.ts";

/** A pointer that is to be used. */
export interface PointerRequest {
  readonly pointer: Pointer;
  readonly signal: AbortSignal;
}

/**
 * Use the template of an image that is imported again, from where it came from.
 *
 * @throws {EnrootError} code `image-changed` when only another image is there now
 */
export async function useImportedAgain(
  context: Context,
  config: Config,
  store: Store,
  { pointer, signal }: PointerRequest,
  use: (template: TemplateReference) => Promise<void>,
): Promise<void> {
  const from = (uri: ImageUri): Promise<void> =>
    importImage(context, config, {
      uri,
      architecture: pointer.architecture,
      signal,
      store,
      async into(image, build) {
        if (image.imageId !== pointer.imageId) throw changed(pointer, uri);
        const wanted = { image, build, signal };
        await useTemplate(() => obtainTemplate(context, config, store, wanted), use);
      },
    });
  const [first, ...others] = places(pointer);
  try {
    return await from(first);
  } catch (error) {
    const [next] = others;
    if (next === undefined || !isAbsence(error)) throw error;
    return await from(next);
  }
}

function isAbsence(error: unknown): boolean {
  if (error instanceof RegistryError) return error.status === 404;
  return error instanceof EnrootError && error.code === "no-image";
}

/** Where the image may be: by its digest, which nobody can move, then by what it was imported as. */
function places(
  { uri: text, imageId, manifestDigest: digest }: Pointer,
): [ImageUri, ...ImageUri[]] {
  const uri = parseFullUri(text);
  if ("name" in uri) return [{ ...uri, id: imageId }, uri];
  if (uri.scheme !== "docker" || digest === undefined) return [uri];
  const pinned: ImageUri = { ...uri, reference: { ...uri.reference, digest } };
  // A reference that was pinned by its user is never followed by its tag.
  return uri.reference.digest === undefined ? [pinned, uri] : [pinned];
}

function changed({ uri, imported }: Pointer, found: ImageUri): EnrootError {
  return new EnrootError(
    "image-changed",
    `${
      formatUri(found)
    } is another image now than the one imported on ${imported}, which is gone ` +
      `from the store and from where it came: delete the pointer file and import ${uri} again`,
  );
}
