/**
 * Docker and podman by their command lines: what an image is, and how it is brought.
 *
 * Nothing else is ever asked of an engine: no container is made, and nothing is pulled.
 *
 * @module
 */

import * as z from "zod/mini";
import { EnrootError } from "../../errors.ts";
import { type DiffId, type Digest, parseDiffId, parseDigest } from "../../oci/digest.ts";
import { issueOf, parseJson } from "../../oci/manifest.ts";
import { formatPlatform, noPlatform, type Platform } from "../../oci/platform.ts";
import { callerEnvironment } from "../../process/caller.ts";
import { CommandError, run } from "../../process/run.ts";
import { createStaging, tidyStaging } from "../../sys/staging.ts";

/** The programs that are asked. */
export type Engine = "docker" | "podman";

/** Where an engine's image is, and how it is called in messages. */
export interface EngineImage {
  readonly engine: Engine;
  /** What the engine is asked for. */
  readonly name: string;
  readonly uri: string;
}

/** What an engine says of an image. */
export interface InspectedImage {
  /** What the engine knows it by: the digest of its config, of its manifest or of its index. */
  readonly id: Digest;
  /** Whether that should be the digest of its config. */
  readonly isConfigDigest: boolean;
  /** Of its layers, lowest first. */
  readonly diffIds: readonly DiffId[];
  readonly platform: Platform;
}

// Sources: Docker Engine API 1.41 to 1.52, "ImageInspect"; podman-image-inspect(1).
const schema = z.array(z.object({
  Id: z.string().check(z.regex(/^(?:sha256:)?[0-9a-f]{64}$/, "is no sha256")),
  RepoDigests: z.optional(z.nullable(z.array(z.string()))),
  Descriptor: z.optional(z.nullable(z.unknown())),
  Architecture: z.string(),
  Os: z.string(),
  Variant: z.optional(z.string()),
  RootFS: z.object({
    Layers: z.optional(z.nullable(z.array(
      z.string().check(z.regex(/^sha256:[0-9a-f]{64}$/, "is not sha256: and 64 hex digits")),
    ))),
  }),
})).check(z.length(1, "must describe one image"));

/**
 * Ask an engine for an image.
 *
 * @throws {EnrootError} code `no-image` when it has none of that name, `no-platform` when it is for
 * another architecture, `engine-failed` with the engine's own words, `program-missing`
 */
export async function inspectImage(
  image: EngineImage,
  options: { readonly architecture: string; readonly signal: AbortSignal },
): Promise<InspectedImage> {
  const { architecture } = options;
  const { inspected, hasPlatforms } = await inspect(image, [], options);
  if (isFor(inspected.platform, architecture)) return inspected;
  // A store that keeps images of several platforms shows its own first.
  if (hasPlatforms) {
    const other = await inspect(image, ["--platform", `linux/${architecture}`], options);
    if (isFor(other.inspected.platform, architecture)) return other.inspected;
  }
  throw noPlatform(image.uri, architecture, [formatPlatform(inspected.platform)]);
}

/** What writes an image to standard output. Disposing of it removes what the program has left. */
export interface SaveCommand extends Disposable {
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * How an engine is made to write an image.
 *
 * podman keeps each layer in a temporary file until it has written it, and leaves that behind when it
 * is ended. So it gets a folder of its own for them, where it would have put them itself.
 *
 * @param id what the engine knows it by: its tag may move meanwhile
 */
export async function saveCommand(
  image: EngineImage,
  id: Digest,
  { signal }: { readonly signal: AbortSignal },
): Promise<SaveCommand> {
  const environment = callerEnvironment();
  if (image.engine === "docker") {
    return { argv: ["docker", "save", "--", id], environment, [Symbol.dispose]() {} };
  }
  const folder = await temporaryFolder(image, environment, signal);
  const prefix = `enroot-podman.${Deno.uid()}.`;
  tidyStaging(folder, prefix);
  const staging = createStaging(folder, prefix);
  return {
    argv: ["podman", "save", "--quiet", "--", id],
    environment: { ...environment, TMPDIR: staging.path },
    [Symbol.dispose]: () => staging[Symbol.dispose](),
  };
}

/** Where podman puts large files. */
async function temporaryFolder(
  image: EngineImage,
  environment: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<string> {
  try {
    const format = "{{.Store.ImageCopyTmpDir}}";
    return (await asked(image, ["info", "--format", format], signal)).trim();
  } catch (error) {
    // Before 4.0 it does not say.
    if (!(error instanceof EnrootError && error.code === "engine-failed")) throw error;
    return environment["TMPDIR"] || "/var/tmp";
  }
}

/** Run an engine for what it says. @throws {EnrootError} in the engine's words */
async function asked(
  image: EngineImage,
  args: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  try {
    return await run([image.engine, ...args], { signal });
  } catch (error) {
    throw engineError(error, image);
  }
}

/** An engine's failure in its own words; anything else as it is. */
export function engineError(error: unknown, { engine, name, uri }: EngineImage): unknown {
  if (!(error instanceof CommandError)) return error;
  const lines = error.stderr.trim().split(/\s*[\n\r]+\s*/);
  const said = lines.filter((line) => !line.startsWith("WARNING:")).slice(-3)
    .map((line) => line.replace(/^(?:Error: |Error response from daemon: )+/, "")).join("; ");
  if (/no such (?:image|object)|image not known/i.test(said)) {
    return new EnrootError(
      "no-image",
      `${uri}: ${engine} says: ${said}: pull it by '${engine} pull ${name}', or import it by docker://`,
      { cause: error },
    );
  }
  return new EnrootError(
    "engine-failed",
    `${uri}: ${said === "" ? error.message : `${engine} says: ${said}`}`,
    { cause: error },
  );
}

async function inspect(
  image: EngineImage,
  flags: readonly string[],
  { signal }: { readonly signal: AbortSignal },
): Promise<ReturnType<typeof parseInspected>> {
  const text = await asked(image, ["image", "inspect", ...flags, "--", image.name], signal);
  return parseInspected(text, image);
}

/**
 * Read what `image inspect` printed.
 *
 * @returns also whether the engine's store keeps images of several platforms
 * @throws {EnrootError} code `bad-inspect` when it does not describe one image
 */
export function parseInspected(
  text: string,
  { engine, uri }: EngineImage,
): { readonly inspected: InspectedImage; readonly hasPlatforms: boolean } {
  const what = `what ${engine} says of ${uri}`;
  const parsed = z.safeParse(
    schema,
    parseJson(new TextEncoder().encode(text), what, "bad-inspect"),
  );
  const [document] = parsed.data ?? [];
  if (document === undefined) {
    const why = parsed.error === undefined ? "it is empty" : issueOf(parsed.error);
    throw new EnrootError("bad-inspect", `${what} cannot be read: ${why}`);
  }
  const { Id, RepoDigests, Descriptor, Architecture, Os, Variant, RootFS } = document;
  const id = parseDigest(Id.startsWith("sha256:") ? Id : `sha256:${Id}`);
  const hasPlatforms = Boolean(Descriptor);
  return {
    hasPlatforms,
    inspected: {
      id,
      // Docker's containerd store: what a registry has the image by is no digest of a config.
      isConfigDigest: !hasPlatforms && !RepoDigests?.some((each) => each.endsWith(`@${id}`)),
      diffIds: (RootFS.Layers ?? []).map(parseDiffId),
      platform: { os: Os, architecture: Architecture, variant: Variant || undefined },
    },
  };
}

function isFor({ os, architecture }: Platform, wanted: string): boolean {
  return os === "linux" && architecture === wanted;
}
