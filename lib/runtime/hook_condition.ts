/**
 * What a hook says of when it has something to do, so that it need not be run to find that out.
 *
 * @module
 */

/** How far into the file that is looked for, in bytes. */
const headSize = 1024;

/**
 * The variables of which a hook needs one: a line `# enroot-when: NAME…` near the beginning of its file.
 * `undefined` when it says nothing, or cannot be read: it is then run.
 */
export function conditionOf(path: string): readonly string[] | undefined {
  const head = new Uint8Array(headSize);
  let size: number | null;
  try {
    using file = Deno.openSync(path);
    size = file.readSync(head);
  } catch {
    return undefined;
  }
  const text = new TextDecoder().decode(head.subarray(0, size ?? 0));
  const [, names] = /^# enroot-when:((?: [A-Za-z_][A-Za-z0-9_]*)+)$/m.exec(text) ?? [];
  return names?.trim().split(" ");
}
