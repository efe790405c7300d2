import { assert, assertEquals, assertRejects } from "@std/assert";
import { pipePair } from "../../tests/support/pipe_pair.ts";
import { EnrootError } from "../errors.ts";
import { Channel, CutError, type Pipe, RemoteError, SilentError } from "./channel.ts";

/** A pipe that yields these bytes in pieces of a size, and ends; it keeps what is written. */
function pipe(input: Uint8Array, size = 7): Pipe & { readonly written: number[] } {
  const written: number[] = [];
  let at = 0;
  return {
    written,
    read() {
      const piece = input.subarray(at, at += size);
      return Promise.resolve(piece.length === 0 ? undefined : piece);
    },
    write(bytes) {
      for (const byte of bytes) written.push(byte);
      return Promise.resolve();
    },
  };
}

/** A pipe from which nothing comes; it keeps what is written. */
function openPipe(): Pipe & { readonly written: number[] } {
  return { ...pipe(new Uint8Array()), read: () => Promise.withResolvers<undefined>().promise };
}

async function* pieces(...all: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const piece of all) yield await Promise.resolve(piece);
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

Deno.test("what one end says and sends the other hears and receives", async () => {
  const out = openPipe();
  const sender = new Channel(out);
  await sender.say({ a: ["é"] });
  const long = new Uint8Array(3_000_000).map((_, at) => at);
  let told = 0;
  await sender.send(pieces(text("abc"), long, new Uint8Array()), (done) => told = done);
  await sender.say(7);
  assertEquals(told, 3_000_003);

  const receiver = new Channel(pipe(new Uint8Array(out.written), 65536));
  assertEquals(await receiver.hear(), { a: ["é"] });
  const got = await Array.fromAsync(receiver.receive((done) => told = done));
  assertEquals(told, 3_000_003);
  assertEquals(got.reduce((sum, { length }) => sum + length, 0), 3_000_003);
  assertEquals([...got[0] ?? []], [...text("abc")]);
  assertEquals(await receiver.hear(), 7);
  await assertRejects(() => receiver.hear(), CutError);
});

Deno.test("a failure of the other end is heard wherever it comes", async () => {
  const failed = pipe(new Uint8Array());
  await new Channel(failed).say({ error: "no room" });
  const bytes = new Uint8Array(failed.written);
  await assertRejects(() => new Channel(pipe(bytes)).hear(), RemoteError, "no room");
  const inStream = new Channel(pipe(bytes)).receive(() => {});
  await assertRejects(() => inStream.next(), RemoteError, "no room");
  const closed: Pipe = {
    ...pipe(bytes),
    write: () => Promise.reject(new Deno.errors.BrokenPipe()),
  };
  await assertRejects(() => new Channel(closed).say(1), RemoteError, "no room");
  const silent: Pipe = {
    ...pipe(new Uint8Array()),
    write: () => Promise.reject(new Deno.errors.BrokenPipe()),
  };
  await assertRejects(() => new Channel(silent).say(1), CutError);
});

Deno.test("a stream that is cut anywhere is never taken for a whole one", async () => {
  const out = openPipe();
  await new Channel(out).send(pieces(text("abcdef"), text("ghi")), () => {});
  for (let length = 0; length < out.written.length; length++) {
    const cut = new Channel(pipe(new Uint8Array(out.written.slice(0, length)))).receive(() => {});
    await assertRejects(() => Array.fromAsync(cut), CutError);
  }
});

Deno.test("what is not ours is told from it, and shown", async () => {
  const bad: readonly (readonly [Uint8Array, string])[] = [
    [text("Welcome to node1!\n"), "it prints 'Welcome to node1!'"],
    [new Uint8Array([77, 255, 255, 255, 255]), "it prints"],
    [new Uint8Array([69, 0, 0, 0, 1, 0]), "it prints"],
    [new Uint8Array([77, 0, 0, 0, 1, 123]), "cannot be read"],
    [new Uint8Array([68, 0, 0, 0, 1, 0]), "nobody has asked for"],
  ];
  for (const [bytes, why] of bad) {
    const error = await assertRejects(
      () => new Channel(pipe(bytes, 100)).hear(),
      EnrootError,
      why,
    );
    assertEquals(error.code, "bad-peer");
  }
  const message = pipe(new Uint8Array());
  await new Channel(message).say(1);
  const stream = new Channel(pipe(new Uint8Array(message.written))).receive(() => {});
  await assertRejects(() => stream.next(), EnrootError, "within a stream");
  assert(message.written.length > 0);
});

const beatEvery = 20;

Deno.test("an end that takes its time is waited for as long as it says that it is there", async () => {
  const { ends: [here, there] } = pipePair();
  const [sender, receiver] = [new Channel(here, { beatEvery }), new Channel(there, { beatEvery })];
  using _one = sender.keepAlive();
  using _two = receiver.keepAlive();
  const rest = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 10 * beatEvery));
  async function* slow(): AsyncGenerator<Uint8Array> {
    yield text("a");
    await rest();
    yield text("b");
  }
  const sent = sender.send(slow(), () => {}).then(() => sender.hear());
  const got = await Array.fromAsync(receiver.receive(() => {}));
  assertEquals(got.map((each) => new TextDecoder().decode(each)), ["a", "b"]);
  const lost = receiver.listen();
  await rest();
  assertEquals(lost.aborted, false);
  await receiver.say("done");
  assertEquals(await sent, "done");
});

Deno.test("an end of which nothing comes any more is given up, whatever this one is doing", async () => {
  const doings: Record<string, (channel: Channel) => Promise<unknown>> = {
    hear: (channel) => channel.hear(),
    receive: (channel) => Array.fromAsync(channel.receive(() => {})),
    send: (channel) => channel.send(pieces(text("a")), () => {}),
    async listen(channel) {
      const lost = channel.listen();
      await new Promise((resolve) => lost.addEventListener("abort", resolve));
      throw lost.reason;
    },
  };
  for (const [name, work] of Object.entries(doings)) {
    const { ends: [here, there], cut } = pipePair();
    const [one, two] = [new Channel(here, { beatEvery }), new Channel(there, { beatEvery })];
    using _one = one.keepAlive();
    using _two = two.keepAlive();
    await two.say(1);
    assertEquals(await one.hear(), 1);
    cut();
    const error = await assertRejects(() => work(one), SilentError, "nothing came", name);
    assertEquals(error.code, "cut");
  }
});

Deno.test("before it is asked for nobody is given up, and nothing is said", async () => {
  const { ends: [here, there] } = pipePair();
  const [one, two] = [new Channel(here, { beatEvery }), new Channel(there, { beatEvery })];
  const heard = one.hear();
  await new Promise((resolve) => setTimeout(resolve, 10 * beatEvery));
  await two.say("late");
  assertEquals(await heard, "late");
  const out = openPipe();
  const silent = new Channel(out, { beatEvery });
  silent.keepAlive()[Symbol.dispose]();
  await new Promise((resolve) => setTimeout(resolve, 3 * beatEvery));
  assertEquals(out.written, []);
});

Deno.test("who listens is told when the other end fails, and loses nothing of what it says else", async () => {
  for (const [said, isLost] of [[{ error: "no room" }, true], [{ go: true }, false]] as const) {
    const { ends: [here, there] } = pipePair();
    const [one, two] = [new Channel(here), new Channel(there)];
    const lost = one.listen();
    await two.say(said);
    await new Promise((resolve) => setTimeout(resolve, 10));
    assertEquals([lost.aborted, lost.reason instanceof RemoteError], [isLost, isLost]);
    if (isLost) await assertRejects(() => one.hear(), RemoteError, "no room");
    else assertEquals(await one.hear(), said);
  }
});
