/**
 * Archives on disk, inflated when they are compressed.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../errors.ts";
import { close, must, writeAll } from "../sys/at.ts";
import { readRegion } from "../streams/file_region.ts";
import { inflate, sniffCompression } from "../streams/inflate.ts";
import type { LayoutFiles } from "./layout.ts";
import type { SourceOptions } from "./options.ts";
import { TarIndex } from "./tar_index.ts";
import { openTempFile } from "./temp_file.ts";

/** After how many stored bytes others have their turn: a bomb makes a thousand times as much of them. */
const breathAfter = 1 << 20;

/**
 * Open an archive. A compressed one is inflated into a temporary file, which is gone when the archive
 * is disposed of, or when the process ends: it has no name by then.
 *
 * @throws {EnrootError} when it is not there, is no archive, or is damaged
 */
export async function openArchive(
  path: string,
  { tempPath, signal }: SourceOptions,
): Promise<LayoutFiles & { readonly index: TarIndex }> {
  const { start, size } = readStart(path);
  const compression = sniffCompression(start);
  if (compression === "none") return filesOf(TarIndex.open(path, path), () => {});

  const file = openTempFile(tempPath, "enroot-archive.");
  try {
    await inflate(
      abortable(readRegion({ path, offset: 0, size }, path), signal),
      compression,
      (bytes) => void must(writeAll(file, bytes), "write", tempPath),
      path,
    );
    return filesOf(TarIndex.open(`/proc/self/fd/${file}`, path), () => close(file));
  } catch (error) {
    close(file);
    if (error instanceof EnrootError || signal.aborted) throw error;
    throw new EnrootError(
      "cannot-write",
      `cannot inflate ${path} into ${tempPath}: ${reasonOf(error)}`,
      { cause: error },
    );
  }
}

function filesOf(
  index: TarIndex,
  close: () => void,
): LayoutFiles & { readonly index: TarIndex } {
  return {
    index,
    find: (path) => Promise.resolve(index.find(path)),
    [Symbol.asyncDispose]: () => Promise.resolve(close()),
  };
}

function readStart(path: string): { start: Uint8Array; size: number } {
  try {
    // Asked before it is opened: opening a pipe waits for its writer, without end.
    const { isFile, size } = Deno.statSync(path);
    if (!isFile) throw new EnrootError("bad-archive", `${path} is no archive file`);
    using file = Deno.openSync(path);
    const start = new Uint8Array(4);
    return { start: start.subarray(0, file.readSync(start) ?? 0), size };
  } catch (error) {
    if (error instanceof EnrootError) throw error;
    throw error instanceof Deno.errors.NotFound
      ? new EnrootError("not-found", `${path}: no such archive`)
      : new EnrootError("cannot-read", `cannot read ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

async function* abortable(
  source: AsyncIterable<Uint8Array<ArrayBuffer>>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let read = 0;
  for await (const bytes of source) {
    read += bytes.length;
    if (read >= breathAfter) {
      read = 0;
      // Nothing else waits on the way, and a signal is only heard between.
      await new Promise((resolve) => setTimeout(resolve));
    }
    signal.throwIfAborted();
    yield bytes;
  }
}
