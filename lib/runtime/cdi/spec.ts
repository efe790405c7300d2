/**
 * Specifications of the Container Device Interface: what a container needs to use a device.
 *
 * Source: the CDI specification 0.3 to 1.0 (cncf-tags/container-device-interface, SPEC.md).
 *
 * @module
 */

import { parse } from "@std/yaml";
import * as z from "zod/mini";
import { EnrootError, reasonOf } from "../../errors.ts";

const absolutePath = z.string().check(z.regex(/^\/[^\0\n]*$/, "is no absolute path"));

const editsSchema = z.object({
  env: z.optional(z.array(
    z.string().check(z.regex(/^[A-Za-z_][A-Za-z0-9_]*=[^\0\n]*$/, "is no NAME=VALUE")),
  )),
  deviceNodes: z.optional(z.array(z.object({
    path: absolutePath,
    hostPath: z.optional(absolutePath),
  }))),
  mounts: z.optional(z.array(z.object({
    hostPath: z.string(),
    containerPath: absolutePath,
    options: z.optional(z.array(z.string())),
    type: z.optional(z.string()),
  }))),
  hooks: z.optional(z.array(z.object({
    hookName: z.string(),
    path: z.string(),
    args: z.optional(z.array(z.string())),
  }))),
});

const specSchema = z.object({
  cdiVersion: z.string(),
  kind: z.string().check(z.regex(/^[A-Za-z0-9.-]+\/[A-Za-z0-9._-]+$/, "is no VENDOR/CLASS")),
  devices: z.array(z.object({
    // Without quotes, YAML takes the name of the first device for a number.
    name: z.pipe(z.union([z.string(), z.number()]), z.transform(String)),
    containerEdits: editsSchema,
  })),
  containerEdits: z.optional(editsSchema),
});

/** What a device asks for. */
export type ContainerEdits = z.infer<typeof editsSchema>;

/** One file of devices of one kind. */
export interface CdiSpec {
  /** Where it is, for messages. */
  readonly path: string;
  /** `VENDOR/CLASS`, for example `nvidia.com/gpu`. */
  readonly kind: string;
  readonly devices: readonly { readonly name: string; readonly containerEdits: ContainerEdits }[];
  /** What every device of it asks for. */
  readonly containerEdits: ContainerEdits;
}

/**
 * Read a specification.
 *
 * @param path its file: JSON when that ends so, else YAML
 * @throws {EnrootError} code `bad-cdi`, naming the file and the place in it
 */
export function parseCdiSpec(text: string, path: string): CdiSpec {
  let document: unknown;
  try {
    document = path.endsWith(".json") ? JSON.parse(text) : readYaml(text);
  } catch (error) {
    throw new EnrootError("bad-cdi", `${path} cannot be read: ${reasonOf(error)}`, {
      cause: error,
    });
  }
  const parsed = z.safeParse(specSchema, document);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const place = issue?.path.join(".") || "the document";
    throw new EnrootError(
      "bad-cdi",
      `${path} is no CDI specification: ${place}: ${issue?.message ?? "not as specified"}`,
    );
  }
  const { kind, devices, containerEdits = {} } = parsed.data;
  return { path, kind, devices, containerEdits };
}

function readYaml(text: string): unknown {
  return parse(text, { schema: "core" });
}
