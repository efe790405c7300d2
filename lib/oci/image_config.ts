/**
 * Image configurations: OCI image-spec 1.1 `config.md`, and Docker's, which is the same in the
 * fields that are read here.
 *
 * @module
 */

import * as z from "zod/mini";
import { EnrootError } from "../errors.ts";
import { type DiffId, parseDiffId } from "./digest.ts";
import { issueOf, parseJson } from "./manifest.ts";
import type { Platform } from "./platform.ts";

/** What an image says of itself. Absent lists are empty. */
export interface ImageConfig extends Platform {
  /** When it was made, RFC 3339, as written. */
  readonly created?: string | undefined;
  /** The layers' diff IDs, lowest first. */
  readonly diffIds: readonly DiffId[];
  /** `NAME=value` lines. */
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** Empty when not set. */
  readonly workingDir: string;
  /** Paths in the container. */
  readonly volumes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

const list = z.optional(z.nullable(z.array(z.string())));

// Docker writes absent fields as null, and entrypoints of very old images as plain strings.
const words = z.optional(z.nullable(z.union([z.array(z.string()), z.string()])));

const schema = z.object({
  architecture: z.optional(z.string()),
  os: z.optional(z.string()),
  variant: z.optional(z.string()),
  created: z.optional(z.nullable(z.string())),
  rootfs: z.object({
    type: z.literal("layers"),
    diff_ids: z.nullable(z.array(
      z.string().check(z.regex(/^sha256:[0-9a-f]{64}$/, "is not sha256: and 64 hex digits")),
    )),
  }),
  config: z.optional(z.nullable(z.object({
    Env: list,
    Entrypoint: words,
    Cmd: words,
    WorkingDir: z.optional(z.nullable(z.string())),
    Volumes: z.optional(z.nullable(z.record(z.string(), z.unknown()))),
    Labels: z.optional(z.nullable(z.record(z.string(), z.string()))),
  }))),
});

/**
 * Read an image configuration.
 *
 * @param bytes as stored; their digest is the caller's to check
 * @param what the image, for messages
 * @throws {EnrootError} code `bad-config` when it is none
 */
export function parseImageConfig(bytes: Uint8Array, what: string): ImageConfig {
  const parsed = z.safeParse(schema, parseJson(bytes, `the config of ${what}`, "bad-config"));
  if (!parsed.success) {
    throw new EnrootError(
      "bad-config",
      `the config of ${what} is no image config: ${issueOf(parsed.error)}`,
    );
  }
  const { config, rootfs, architecture, os, variant, created } = parsed.data;
  return {
    os: os || "linux",
    architecture: architecture || "amd64",
    ...(variant === undefined ? {} : { variant }),
    ...(created ? { created } : {}),
    diffIds: (rootfs.diff_ids ?? []).map(parseDiffId),
    env: config?.Env ?? [],
    entrypoint: wordsOf(config?.Entrypoint),
    cmd: wordsOf(config?.Cmd),
    workingDir: config?.WorkingDir ?? "",
    volumes: Object.keys(config?.Volumes ?? {}),
    labels: config?.Labels ?? {},
  };
}

function wordsOf(value: readonly string[] | string | null | undefined): readonly string[] {
  if (typeof value === "string") return value === "" ? [] : ["/bin/sh", "-c", value];
  return value ?? [];
}
