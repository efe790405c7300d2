/**
 * What of an image could not be kept.
 *
 * @module
 */

/** How much was left out. */
export interface LeftOut {
  readonly skippedDevices: number;
  readonly skippedXattrs: number;
}

/** A warning for each kind of it. */
export function leftOut({ skippedDevices, skippedXattrs }: LeftOut): string[] {
  return [
    ...(skippedDevices > 0
      ? [`${skippedDevices} device nodes were left out: a container's devices come from the host`]
      : []),
    ...(skippedXattrs > 0
      ? [`${skippedXattrs} extended attributes or ACLs could not be set and were left out`]
      : []),
  ];
}
