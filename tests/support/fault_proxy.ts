/**
 * An HTTP proxy on 127.0.0.1 in front of a registry that does what networks and registries do on bad
 * days: it cuts, stalls, lies and refuses, as a test wants it, and counts what went through.
 *
 * It writes its answers by hand, byte by byte: a server would repair some of them.
 *
 * @module
 */

/** A request that came. */
export interface Question {
  /** Without what follows a question mark. */
  readonly path: string;
  /** The value of `Range`; empty when there is none. */
  readonly range: string;
  readonly authorization: string;
  /** Which request for this path it is, counted from 1. */
  readonly count: number;
}

/** What goes wrong with an answer. All counts are in bytes of its body. */
export interface Fault {
  /** Answered in place of the registry, with {@linkcode headers} and {@linkcode body}. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The request's range is not passed on: all of it comes. */
  readonly ignoresRange?: boolean;
  /** The connection ends after so many. */
  readonly cutAfter?: number;
  /** As {@linkcode cutAfter}, but nothing says how long the body was to be. */
  readonly truncateAfter?: number;
  /** After so many nothing comes any more, and the connection stays. */
  readonly stallAfter?: number;
  /** This one has another value. */
  readonly wrongAt?: number;
  /** The length that is stated. */
  readonly contentLength?: (right: number) => number;
  readonly contentRange?: string;
  /** So many come at a time, and then it rests for a moment. */
  readonly drip?: { readonly bytes: number; readonly milliseconds: number };
}

/** A proxy at work. Disposing of it ends its connections. */
export interface FaultProxy extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** What came, in order. */
  readonly requests: readonly Question[];
  /** How many bytes of blobs went to clients. */
  readonly blobBytes: number;
}

/**
 * Start a proxy.
 *
 * @param target the port on 127.0.0.1 of the registry
 * @param decide what goes wrong with a request's answer; nothing when it gives nothing
 */
export function startFaultProxy(
  target: number,
  decide: (question: Question) => Fault | undefined = () => undefined,
): FaultProxy {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const ended = new AbortController();
  const open = new Set<Deno.TcpConn>();
  const requests: Question[] = [];
  let blobBytes = 0;

  async function serve(client: Deno.TcpConn): Promise<void> {
    const head = await readHead(client);
    if (head === undefined) return;
    const count = requests.filter(({ path }) => path === head.path).length + 1;
    const question = { ...head, count };
    requests.push(question);
    const fault = decide(question) ?? {};
    const { status, headers, body } = await answer(question, fault);
    for (const [name, value] of Object.entries(fault.headers ?? {})) headers.set(name, value);
    const length = fault.contentLength?.(body.length) ?? body.length;
    if (fault.truncateAfter === undefined) headers.set("content-length", String(length));
    if (fault.contentRange !== undefined) headers.set("content-range", fault.contentRange);
    if (fault.wrongAt !== undefined) body[fault.wrongAt] = ~(body[fault.wrongAt] ?? 0);
    await write(client, new TextEncoder().encode(formatHead(status, headers)));
    await writeBody(client, body, fault, (bytes) => {
      if (question.path.includes("/blobs/") && status < 300) blobBytes += bytes;
    });
  }

  async function answer(
    { path, range }: Question,
    { status, body = "", ignoresRange = false }: Fault,
  ): Promise<{ status: number; headers: Headers; body: Uint8Array }> {
    if (status !== undefined) {
      return { status, headers: new Headers(), body: new TextEncoder().encode(body) };
    }
    const response = await fetch(`http://127.0.0.1:${target}${path}`, {
      headers: { accept: accepted, ...(range === "" || ignoresRange ? {} : { range }) },
    });
    const headers = new Headers();
    for (const name of ["content-type", "content-range", "docker-content-digest"]) {
      const value = response.headers.get(name);
      if (value !== null) headers.set(name, value);
    }
    return { status: response.status, headers, body: await response.bytes() };
  }

  async function writeBody(
    client: Deno.TcpConn,
    body: Uint8Array,
    { cutAfter = Infinity, truncateAfter = Infinity, stallAfter = Infinity, drip }: Fault,
    onWritten: (bytes: number) => void,
  ): Promise<void> {
    const end = Math.min(body.length, cutAfter, truncateAfter, stallAfter);
    for (let at = 0; at < end && !ended.signal.aborted;) {
      const part = body.subarray(at, Math.min(end, at + (drip?.bytes ?? 65536)));
      await write(client, part);
      onWritten(part.length);
      at += part.length;
      if (drip !== undefined) await pause(drip.milliseconds);
    }
    // Until the client gives up.
    if (end === stallAfter) { while (await client.read(new Uint8Array(1)) !== null); }
  }

  const accepting = (async () => {
    for await (const client of listener) {
      open.add(client);
      // A client that goes away in the middle is what the tests are about.
      serve(client).catch(() => {}).finally(() => {
        open.delete(client);
        close(client);
      });
    }
  })();

  return {
    host: `127.0.0.1:${listener.addr.port}`,
    requests,
    get blobBytes() {
      return blobBytes;
    },
    async [Symbol.asyncDispose]() {
      ended.abort();
      listener.close();
      await accepting;
      for (const client of open) close(client);
      while (open.size > 0) await pause(5);
    },
  };
}

const accepted = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
].join(", ");

/** The head of a request; `undefined` when none came, or no HTTP. */
async function readHead(client: Deno.TcpConn): Promise<Omit<Question, "count"> | undefined> {
  let text = "";
  const buffer = new Uint8Array(4096);
  while (!text.includes("\r\n\r\n")) {
    const length = await client.read(buffer);
    if (length === null || text.length > 65536) return undefined;
    text += new TextDecoder("latin1").decode(buffer.subarray(0, length));
    // The beginning of TLS.
    if (text.startsWith("\x16")) return undefined;
  }
  const [, path = ""] = /^GET ([^\s?]+)\S* HTTP/.exec(text) ?? [];
  const header = (name: string): string =>
    new RegExp(`^${name}: *(.*?)\r$`, "im").exec(text)?.[1] ?? "";
  return { path, range: header("range"), authorization: header("authorization") };
}

function formatHead(status: number, headers: Headers): string {
  const lines = [...headers].map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return `HTTP/1.1 ${status} Said\r\nconnection: close\r\n${lines}\r\n`;
}

async function write(client: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await client.write(bytes.subarray(at));
}

function close(client: Deno.TcpConn): void {
  try {
    client.close();
  } catch {
    // It is closed already.
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
