/**
 * A TCP proxy on 127.0.0.1 that hands data on slowly: a registry whose answers take time, so that
 * a test can do something in the middle of a download.
 *
 * @module
 */

/** A proxy at work. Disposing of it ends its connections. */
export interface SlowProxy extends AsyncDisposable {
  /** The port on 127.0.0.1. */
  readonly port: number;
  /** How many bytes went from the server to clients so far. */
  readonly bytes: number;
}

/**
 * Start a proxy.
 *
 * @param target the port on 127.0.0.1 of the server behind it
 * @param options.bytesPerSecond how fast each connection receives at most
 * @param options.fullSpeed how many bytes of each connection come at full speed, before that
 */
export function startSlowProxy(
  target: number,
  { bytesPerSecond, fullSpeed = 0 }: {
    readonly bytesPerSecond: number;
    readonly fullSpeed?: number;
  },
): SlowProxy {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const ended = new AbortController();
  const open = new Set<Deno.TcpConn>();
  let bytes = 0;

  async function serve(client: Deno.TcpConn): Promise<void> {
    open.add(client);
    const server = await Deno.connect({ hostname: "127.0.0.1", port: target });
    open.add(server);
    try {
      await Promise.all([
        client.readable.pipeTo(server.writable, { signal: ended.signal }),
        server.readable.pipeThrough(throttle()).pipeTo(client.writable, { signal: ended.signal }),
      ]);
    } finally {
      open.delete(client);
      open.delete(server);
    }
  }

  function throttle(): TransformStream<Uint8Array, Uint8Array<ArrayBuffer>> {
    let passed = 0;
    return new TransformStream({
      async transform(data, controller) {
        for (let at = 0; at < data.length;) {
          const slow = passed >= fullSpeed;
          const size = Math.min(data.length - at, slow ? Math.ceil(bytesPerSecond / 20) : 65536);
          if (slow) await pause(50);
          if (ended.signal.aborted) return;
          controller.enqueue(new Uint8Array(data.subarray(at, at + size)));
          at += size;
          passed += size;
          bytes += size;
        }
      },
    });
  }

  const accepting = (async () => {
    for await (const client of listener) {
      // A client that goes away in the middle is what the tests are about.
      serve(client).catch(() => {});
    }
  })();

  return {
    port: listener.addr.port,
    get bytes() {
      return bytes;
    },
    async [Symbol.asyncDispose]() {
      ended.abort();
      listener.close();
      await accepting;
      for (const connection of open) {
        try {
          connection.close();
        } catch {
          // Its stream has closed it.
        }
      }
      // The last pause of a throttled connection.
      await pause(60);
    },
  };
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
