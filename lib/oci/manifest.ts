/**
 * Image manifests and indexes: OCI image-spec 1.1 and Docker image manifest version 2, schema 2.
 *
 * @module
 */

import * as z from "zod/mini";
import { EnrootError, reasonOf } from "../errors.ts";
import { type Digest, parseDigest } from "./digest.ts";
import { imageManifestTypes, indexTypes } from "./media_type.ts";
import type { Platform } from "./platform.ts";

/** A pointer to stored bytes: what they are, how many, and their digest. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** What an index entry is for; absent elsewhere. */
  readonly platform?: Platform | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** The manifest of one image: its config and its layers, lowest first. */
export interface ImageManifest {
  readonly kind: "image";
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** A list of manifests, one a platform. */
export interface ImageIndex {
  readonly kind: "index";
  readonly manifests: readonly Descriptor[];
}

const digestSchema = z.pipe(
  z.string().check(z.regex(/^sha256:[0-9a-f]{64}$/, "is not sha256: and 64 hex digits")),
  z.transform((text) => parseDigest(text)),
);

const descriptorSchema = z.object({
  mediaType: z.string(),
  digest: digestSchema,
  size: z.number().check(z.int(), z.nonnegative()),
  platform: z.optional(z.object({
    os: z.string(),
    architecture: z.string(),
    variant: z.optional(z.string()),
  })),
  annotations: z.optional(z.nullable(z.record(z.string(), z.string()))),
});

const imageSchema = z.object({
  schemaVersion: z.literal(2),
  config: descriptorSchema,
  layers: z.array(descriptorSchema),
});

const indexSchema = z.object({
  schemaVersion: z.literal(2),
  manifests: z.array(descriptorSchema),
});

/**
 * Read a manifest or an index.
 *
 * @param bytes as they were stored; their digest is the caller's to check
 * @param mediaType as the registry or descriptor gives it; the document's own `mediaType` and shape
 * decide where it is absent or too general
 * @param what the thing that is read, for messages
 * @throws {EnrootError} code `bad-manifest` when it is neither, `schema-1` for the old format
 */
export function parseManifest(
  bytes: Uint8Array,
  mediaType: string | undefined,
  what: string,
): ImageManifest | ImageIndex {
  const document = parseJson(bytes, what, "bad-manifest");
  const own = z.safeParse(
    z.object({
      schemaVersion: z.optional(z.number()),
      mediaType: z.optional(z.string()),
      manifests: z.optional(z.unknown()),
      config: z.optional(z.unknown()),
      layers: z.optional(z.unknown()),
    }),
    document,
  );
  if (!own.success) throw malformed(what, "it is no JSON object");
  if (own.data.schemaVersion === 1) {
    throw new EnrootError(
      "schema-1",
      `${what}: manifests of schema 1 are not supported: push the image again with a newer tool`,
    );
  }
  const { manifests, config, layers } = own.data;
  if (manifests !== undefined && (config !== undefined || layers !== undefined)) {
    // Which of the two it is would be for the registry to say, and its digest would mean two images.
    throw malformed(what, "it is an index and a manifest in one");
  }
  const known = [...indexTypes, ...imageManifestTypes];
  const type = [own.data.mediaType, mediaType?.split(";")[0]?.trim()]
    .find((candidate) => candidate !== undefined && known.includes(candidate));
  const isIndex = type === undefined ? own.data.manifests !== undefined : indexTypes.includes(type);

  if (isIndex) {
    const index = z.safeParse(indexSchema, document);
    if (!index.success) throw malformed(what, issueOf(index.error));
    return { kind: "index", manifests: index.data.manifests.map(tidy) };
  }
  const image = z.safeParse(imageSchema, document);
  if (!image.success) throw malformed(what, issueOf(image.error));
  return {
    kind: "image",
    config: tidy(image.data.config),
    layers: image.data.layers.map(tidy),
  };
}

/** The first complaint of a schema, with the place it is about. */
export function issueOf(error: z.core.$ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return "it is malformed";
  const place = issue.path.join(".");
  return place === "" ? issue.message : `${place}: ${issue.message}`;
}

/**
 * Bytes as JSON.
 *
 * @param code the code of the error
 * @throws {EnrootError} when they are no UTF-8 or no JSON
 */
export function parseJson(bytes: Uint8Array, what: string, code: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new EnrootError(code, `${what} is no JSON: ${reasonOf(error)}`, { cause: error });
  }
}

function tidy(descriptor: z.infer<typeof descriptorSchema>): Descriptor {
  return { ...descriptor, annotations: descriptor.annotations ?? undefined };
}

function malformed(what: string, why: string): EnrootError {
  return new EnrootError("bad-manifest", `${what} is no image manifest: ${why}`);
}
