/**
 * What the two ends of a transfer say to each other.
 *
 *     other end    hello      which version it speaks
 *     receiver     request    what it has: templates to build on, beginnings of streams
 *     sender       offer      the streams it is going to send, and the properties
 *     receiver     go on      before each of those: with all of it, or with the rest, or without it
 *     sender       a stream   unless it goes on without it
 *     receiver     go on      at the end
 *
 * Before it says to go on the receiver may say whom it waits for. In place of any message either end may say
 * `{"error": …}`, and leave.
 *
 * @module
 */

import * as z from "zod/mini";
import { EnrootError } from "../errors.ts";
import { within } from "../process/run.ts";
import type { Channel } from "./channel.ts";

const guid = z.string().check(z.regex(/^[0-9]{1,20}$/));
const token = z.string().check(z.regex(/^1-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+$/), z.maxLength(4200));

/** The version of this, and of the frames that it goes in. */
export const protocolVersion = "2";

const hello = z.object({ enroot: z.literal(Number(protocolVersion)) });

const request = z.object({
  /** A container is cloned from its template where that is there; a file holds all of it. */
  as: z.enum(["container", "file"]),
  /** The GUIDs of what differences can be applied to. */
  bases: z.array(guid).check(z.maxLength(20_000)),
  /** What came of streams that were cut. */
  unfinished: z.array(z.object({ guid, token })).check(z.maxLength(1000)),
});

const stream = z.object({
  /** A template is kept beside the container; whole: with all that a file must hold. */
  what: z.enum(["template", "container", "whole"]),
  guid,
  /** The GUID of what it is the difference to. */
  from: z.optional(guid),
  isResumed: z.boolean(),
  /** About how many bytes. */
  size: z.number().check(z.nonnegative()),
});

const offer = z.object({
  properties: z.record(z.string(), z.string()),
  streams: z.array(stream).check(z.minLength(1), z.maxLength(2)),
});

const goOn = z.object({
  go: z.enum(["on", "past"]),
  /** Where a stream goes on; absent: from its beginning. */
  token: z.optional(token),
});

const wait = z.object({ wait: z.string().check(z.maxLength(4096)) });

/** What a receiver asks for. */
export type Request = z.infer<typeof request>;
/** What a sender is going to send. */
export type Offer = z.infer<typeof offer>;
/** One stream of it. */
export type OfferedStream = z.infer<typeof stream>;

/** How it goes on: `past` what is not needed any more, or with a stream: the rest of it, or all. */
export type GoOn = z.infer<typeof goOn>;

/** Say which version is spoken; the end that was called begins. */
export function sayHello(channel: Channel): Promise<void> {
  return channel.say({ enroot: Number(protocolVersion) });
}
/** Hear which version is spoken. @throws {EnrootError} code `bad-peer` when it is another */
export async function hearHello(channel: Channel): Promise<void> {
  await hear(channel, hello);
}
/** Say what is had, and what is wanted. */
export function sayRequest(channel: Channel, value: Request): Promise<void> {
  return channel.say(value);
}
/** Hear what is had, and what is wanted. @throws as {@linkcode hearHello} */
export function hearRequest(channel: Channel): Promise<Request> {
  return hear(channel, request);
}
/** Say what will be sent. */
export function sayOffer(channel: Channel, value: Offer): Promise<void> {
  return channel.say(value);
}
/** Hear what will be sent. @throws as {@linkcode hearHello} */
export function hearOffer(channel: Channel): Promise<Offer> {
  return hear(channel, offer);
}
/** Say that all is well so far, and how it goes on. */
export function sayGoOn(channel: Channel, value: GoOn = { go: "on" }): Promise<void> {
  return channel.say(value);
}
/** Say who is waited for, before it goes on. */
export function sayWait(channel: Channel, holder: string): Promise<void> {
  return channel.say({ wait: holder.slice(0, 4096) });
}
/** Say why this end fails. Whoever has not taken it after a minute never will. */
export function sayFailure(channel: Channel, reason: string): Promise<void> {
  return within(60_000, channel.say({ error: reason }).catch(() => {}));
}
/**
 * Hear that all is well so far, and how it goes on.
 *
 * @param onWait told when the other end waits for somebody there, and for whom
 * @throws as {@linkcode hearHello}
 */
export async function hearGoOn(
  channel: Channel,
  onWait: (holder: string) => void,
): Promise<GoOn> {
  for (;;) {
    const heard = await hear(channel, z.union([goOn, wait]));
    if ("go" in heard) return heard;
    onWait(heard.wait);
  }
}

async function hear<Schema extends z.ZodMiniType>(
  channel: Channel,
  schema: Schema,
): Promise<z.output<Schema>> {
  const { success, data } = schema.safeParse(await channel.hear());
  if (success) return data;
  throw new EnrootError(
    "bad-peer",
    "the enroot on the other end speaks another version of this: install the same one there",
  );
}
