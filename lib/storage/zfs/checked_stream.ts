/**
 * Looking at the beginning of a stream before anything else does.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import { assertExpected, type Expectation, parseStreamHeader } from "../../zfs/stream_header.ts";

/**
 * The same bytes, once their beginning is what is expected.
 *
 * @throws {EnrootError} code `bad-stream` before the first byte when it is not; what the source throws
 */
export async function* checkedStream(
  source: AsyncIterable<Uint8Array>,
  expected: Expectation,
): AsyncGenerator<Uint8Array> {
  let start: Uint8Array | undefined = new Uint8Array();
  let needs = 0;
  for await (const piece of source) {
    if (start === undefined) {
      yield piece;
      continue;
    }
    const longer: Uint8Array = new Uint8Array(start.length + piece.length);
    longer.set(start);
    longer.set(piece, start.length);
    start = longer;
    if (start.length < needs) continue;
    const header = parseStreamHeader(start);
    if ("needs" in header) {
      needs = header.needs;
      continue;
    }
    assertExpected(header, expected);
    yield start;
    start = undefined;
  }
  if (start !== undefined) {
    throw new EnrootError("bad-stream", "this is no ZFS stream of a container: it is cut off");
  }
}
