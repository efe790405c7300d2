/**
 * Making real archives a little wrong.
 *
 * @module
 */

import type { Random } from "./random.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const block = 512;

/** Fields of a ustar header: where they are and how long. */
const fields = [
  ...[[0, 100], [100, 8], [108, 8], [116, 8], [124, 12], [136, 12], [156, 1], [157, 100]],
  ...[[257, 8], [329, 8], [337, 8], [345, 155]],
] as const;

/** Change a tar in one to four places; headers mostly keep a right checksum, to get further in. */
export function mutateTar(
  tar: Bytes,
  donor: Bytes,
  hostile: readonly string[],
  random: Random,
): Bytes {
  let bytes = tar.slice();
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    bytes = random.pick(tarChanges)(bytes, donor, hostile, random);
  }
  return bytes;
}

/** Change any bytes in one to four places. */
export function mutateBytes(bytes: Bytes, random: Random): Bytes {
  const changed = bytes.slice();
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    changed[random.below(changed.length)] = random.below(256);
  }
  return random.chance(0.2) ? changed.slice(0, random.below(changed.length)) : changed;
}

type Change = (bytes: Bytes, donor: Bytes, hostile: readonly string[], random: Random) => Bytes;

const tarChanges: readonly Change[] = [
  function setField(bytes, _donor, hostile, random) {
    const at = header(bytes, random);
    const [offset, length] = random.pick(fields);
    // Another change may have cut the archive short within a header.
    if (at + offset + length > bytes.length) return bytes;
    const text = new TextEncoder().encode(random.pick(hostile)).subarray(0, length);
    bytes.fill(0, at + offset, at + offset + length);
    bytes.set(text, at + offset);
    return fixChecksum(bytes, at);
  },
  function setType(bytes, _donor, _hostile, random) {
    const at = header(bytes, random);
    bytes[at + 156] = random.pick([..."01234567xgLKSDVNMX\0"]).charCodeAt(0);
    return fixChecksum(bytes, at);
  },
  function setNumber(bytes, _donor, _hostile, random) {
    const at = header(bytes, random);
    const offset = random.pick([124, 124, 136, 100, 108, 329]);
    for (let index = 0; index < 8; index++) bytes[at + offset + index] = random.below(256);
    if (random.chance(0.5)) bytes[at + offset] = random.pick([0x80, 0xff]);
    return fixChecksum(bytes, at);
  },
  function flipInHeader(bytes, _donor, _hostile, random) {
    const at = header(bytes, random);
    bytes[at + random.below(block)] = random.below(256);
    return random.chance(0.8) ? fixChecksum(bytes, at) : bytes;
  },
  function flipAnywhere(bytes, _donor, _hostile, random) {
    bytes[random.below(bytes.length)] = random.below(256);
    return bytes;
  },
  function dropBlock(bytes, _donor, _hostile, random) {
    const at = random.below(Math.max(1, bytes.length / block)) * block;
    return join(bytes.subarray(0, at), bytes.subarray(at + block));
  },
  function repeatBlocks(bytes, _donor, _hostile, random) {
    const at = random.below(bytes.length / block) * block;
    const end = at + (1 + random.below(4)) * block;
    return join(bytes.subarray(0, end), bytes.subarray(at));
  },
  function moveBlock(bytes, _donor, _hostile, random) {
    const from = header(bytes, random);
    const to = random.below(bytes.length / block) * block;
    bytes.copyWithin(to, from, Math.min(from + block, bytes.length));
    return bytes;
  },
  function splice(bytes, donor, _hostile, random) {
    const at = header(bytes, random);
    const from = header(donor, random);
    return join(bytes.subarray(0, at), donor.subarray(from, from + 3 * block), bytes.subarray(at));
  },
  function truncate(bytes, _donor, _hostile, random) {
    return random.chance(0.3) ? bytes.slice(0, 1 + random.below(bytes.length)) : bytes;
  },
];

/** Where a header is, or at least a block. */
function header(bytes: Bytes, random: Random): number {
  const found: number[] = [];
  for (let at = 0; at + block <= bytes.length; at += block) {
    if (bytes[at + 257] === 0x75 && bytes[at + 258] === 0x73) found.push(at);
  }
  return found.length > 0 ? random.pick(found) : 0;
}

function fixChecksum(bytes: Bytes, at: number): Bytes {
  if (at + block > bytes.length) return bytes;
  bytes.fill(0x20, at + 148, at + 156);
  const sum = bytes.subarray(at, at + block).reduce((total, byte) => total + byte, 0);
  bytes.set(new TextEncoder().encode(`${sum.toString(8).padStart(6, "0")}\0 `), at + 148);
  return bytes;
}

function join(...parts: readonly Uint8Array[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  // Runs of repeats must not let it grow without an end.
  return whole.length > 1 << 20 ? whole.slice(0, 1 << 20) : whole;
}
