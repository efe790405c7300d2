/**
 * What is left to do when an image is no longer used.
 *
 * @module
 */

import { reasonOf } from "../../errors.ts";
import { type NamedImage, nameImage } from "./image_index.ts";
import { tidyCache } from "./prune.ts";

/** How an image was used. */
export interface ImageUse {
  readonly image: NamedImage;
  /** Whether some of it was fetched: only then has the cache grown. */
  readonly hasFetched: boolean;
  /** The most bytes that the cache may have; `undefined`: no limit. */
  readonly maxSize: number | undefined;
  readonly log: (level: "debug", message: string) => void;
}

/**
 * Note an image's name in the cache, if all of it is there, and keep the cache within its limit. A
 * failure is nobody's harm, because the image was had: it is logged.
 */
export async function afterUse(
  cache: string,
  { image, hasFetched, maxSize, log }: ImageUse,
): Promise<void> {
  try {
    if (!await nameImage(cache, image)) log("debug", `${image.name} is not all in the cache`);
    if (!hasFetched) return;
    const gone = await tidyCache(cache, maxSize);
    if (gone.length > 0) log("debug", `${gone.length} files were removed from the cache`);
  } catch (error) {
    log("debug", `the cache is left as it is: ${reasonOf(error)}`);
  }
}
