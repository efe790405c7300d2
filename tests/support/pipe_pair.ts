/**
 * A connection within a test.
 *
 * @module
 */

import type { Pipe } from "../../lib/transfer/channel.ts";

/** Its two ends. */
export interface PipePair {
  readonly ends: readonly [Pipe, Pipe];
  /** From now on nothing goes over it, and neither end is told. */
  cut(): void;
}

/** Make one. */
export function pipePair(): PipePair {
  let isCut = false;
  const never = (): Promise<never> => Promise.withResolvers<never>().promise;
  const end = (from: TransformStream<Uint8Array>, to: TransformStream<Uint8Array>): Pipe => {
    const [reader, writer] = [from.readable.getReader(), to.writable.getWriter()];
    return {
      read: async () => (await reader.read()).value,
      write: (bytes) => isCut ? never() : writer.write(bytes),
    };
  };
  const wire = (): TransformStream<Uint8Array> =>
    new TransformStream<Uint8Array>(undefined, undefined, { highWaterMark: 100 });
  const [one, two] = [wire(), wire()];
  return { ends: [end(one, two), end(two, one)], cut: () => void (isCut = true) };
}
