/**
 * The properties that travel with a container: where its image came from.
 *
 * @module
 */

/** Each with the values that it may have, as in pointer files. */
const patterns = {
  "enroot:uri":
    /^(?:docker|dockerd|podman|zfs|oci|oci-archive|docker-archive):[A-Za-z0-9._:/@+#%-]{1,800}$/,
  "enroot:manifest-digest": /^sha256:[0-9a-f]{64}$/,
  "enroot:arch": /^[a-z0-9_-]{1,32}$/,
  "enroot:imported": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/,
} as const;

/** Their names. */
export const carriedNames = Object.keys(patterns) as readonly (keyof typeof patterns)[];

/** Properties that may travel. */
export type Carried = Readonly<Partial<Record<keyof typeof patterns, string>>>;

/**
 * Of any properties those that travel, with values that they may have; `-`, which says that one is not
 * set, is none.
 */
export function carriedOf(properties: Readonly<Record<string, string | undefined>>): Carried {
  return Object.fromEntries(carriedNames.flatMap((name) => {
    const value = properties[name];
    return value !== undefined && value !== "-" && patterns[name].test(value)
      ? [[name, value]]
      : [];
  }));
}
