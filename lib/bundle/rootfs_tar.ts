/**
 * A root filesystem as a compressed tar: what a bundle carries.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import type { DiffId, Digest } from "../oci/digest.ts";
import { callerEnvironment } from "../process/caller.ts";
import { CommandError, endOnAbort, run, spawn } from "../process/run.ts";
import { createSha256, zlib } from "../std/node.ts";
import { type Pieces, through } from "./bundle_writer.ts";

/** How it is made. */
export interface RootfsTarOptions {
  /** The words in front of a program that run it as one who may read everything that the caller owns. */
  readonly asRoot: readonly string[];
  readonly signal: AbortSignal;
  /** Told how many bytes of tar there are up to now. */
  readonly onProgress: (bytes: number) => void;
}

/** What it turned out to be. */
export interface RootfsTar {
  readonly digest: Digest;
  readonly diffId: DiffId;
  readonly tarSize: number;
}

/** As much as zstd does in the time that reading takes. */
const level = 6;

/**
 * Write a folder as a tar, all of it root's: hard links, holes, times and attributes of users as they are.
 * `.lock` at its top is left out.
 *
 * @param take is given the compressed bytes, and reads them to their end
 * @throws {EnrootError} code `whiteout-name` when a file is named like a mark of a layer; {@linkcode
 * CommandError} when tar cannot read something; the signal's reason
 */
export async function writeRootfsTar(
  root: string,
  take: (pieces: Pieces) => Promise<void>,
  options: RootfsTarOptions,
): Promise<RootfsTar> {
  const { asRoot, signal } = options;
  await refuseMarks(root, options);
  const argv = [
    ...[...asRoot, "tar", "--create", "--file=-", "--format=posix", "--sparse", "--xattrs"],
    ...["--xattrs-include=user.*", "--numeric-owner", "--owner=0", "--group=0", "--sort=name"],
    ...["--pax-option=delete=atime,delete=ctime", "--anchored", "--exclude=./.lock"],
    ...["--directory", root, "."],
  ];
  const child = spawn(argv, tarEnvironment(), {});
  const failed = new AbortController();
  using _end = endOnAbort(child, AbortSignal.any([signal, failed.signal]));
  const said = new Response(child.stderr).text();
  const [plain, stored] = [createSha256(), createSha256()];
  let tarSize = 0;
  const counted = async function* (): AsyncIterable<Uint8Array<ArrayBuffer>> {
    for await (const bytes of child.stdout) {
      plain.update(bytes);
      tarSize += bytes.length;
      options.onProgress(tarSize);
      yield bytes;
    }
  };
  const { constants, createZstdCompress } = zlib();
  const compress = createZstdCompress({
    params: { [constants.ZSTD_c_compressionLevel]: level },
  });
  const hashed = async function* (): AsyncIterable<Uint8Array<ArrayBuffer>> {
    for await (const bytes of through(compress, counted())) {
      stored.update(bytes);
      yield bytes;
    }
  };
  try {
    await take(hashed());
  } catch (error) {
    failed.abort(error);
    throw error;
  }
  const status = await child.status;
  signal.throwIfAborted();
  if (!status.success) throw new CommandError(argv.slice(asRoot.length), status, await said);
  if (tarSize === 0) throw new EnrootError("bad-archive", `tar wrote nothing of ${root}`);
  return {
    digest: `sha256:${stored.digest("hex")}` as Digest,
    diffId: `sha256:${plain.digest("hex")}` as DiffId,
    tarSize,
  };
}

/** The caller's, without what steers tar: it says where an archive goes, and what is in it. */
function tarEnvironment(): Record<string, string> {
  const steering = new Set(["TAPE", "TAR_OPTIONS", "POSIXLY_CORRECT"]);
  return Object.fromEntries(
    Object.entries(callerEnvironment()).filter(([name]) => !steering.has(name)),
  );
}

/** What unpacks it takes such names for marks that remove other files. */
async function refuseMarks(root: string, { asRoot, signal }: RootfsTarOptions): Promise<void> {
  const argv = [...asRoot, "find", root, "-name", ".wh.*", "-print", "-quit"];
  const found = (await run(argv, { signal })).trimEnd();
  if (found === "") return;
  throw new EnrootError(
    "whiteout-name",
    `cannot bundle ${found}: a name that begins with .wh. marks a removed file in an image: rename it`,
  );
}
