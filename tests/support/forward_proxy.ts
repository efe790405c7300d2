/**
 * A forward proxy on 127.0.0.1, as sites have them: CONNECT for https, whole addresses for http.
 *
 * @module
 */

/** A proxy at work. Disposing of it stops it. */
export interface ForwardProxy extends AsyncDisposable {
  readonly port: number;
  /** The first line of each connection, without what follows the target. */
  readonly requests: readonly string[];
}

/** Start a proxy. @param user `USER:PASSWORD` that it wants; absent: it serves anybody */
export function startForwardProxy(user?: string): ForwardProxy {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.TcpConn>();
  const requests: string[] = [];

  async function serve(client: Deno.TcpConn): Promise<void> {
    open.add(client);
    const { head, rest } = await readHead(client);
    const [, method = "", target = ""] = /^(\S+) (\S+)/.exec(head) ?? [];
    requests.push(`${method} ${target}`);
    if (user !== undefined && !head.includes(`: Basic ${btoa(user)}\r\n`)) {
      await write(
        client,
        "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
      );
      return client.close();
    }
    const isTunnel = method === "CONNECT";
    const { hostname, port } = new URL(isTunnel ? `http://${target}` : target);
    const server = await Deno.connect({ hostname, port: Number(port || 80) });
    open.add(server);
    if (isTunnel) await write(client, "HTTP/1.1 200 OK\r\n\r\n");
    else {
      // One request a connection, so that each is seen here.
      const own = head.replace(/^(\S+) \S+/, `$1 ${new URL(target).pathname}`)
        .replace(/\r\nproxy-[^\r]*/gi, "").replace(/\r\n\r\n$/, "\r\nconnection: close\r\n\r\n");
      await write(server, own);
    }
    await write(server, rest);
    await Promise.all([
      client.readable.pipeTo(server.writable).catch(() => {}),
      server.readable.pipeTo(client.writable).catch(() => {}),
    ]);
  }

  const accepting = (async () => {
    for await (const client of listener) serve(client).catch(() => {});
  })();
  return {
    port: listener.addr.port,
    requests,
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
      for (const connection of open) {
        try {
          connection.close();
        } catch {
          // Its stream has closed it.
        }
      }
    },
  };
}

/** A request's line and headers, and what came behind them. */
async function readHead(client: Deno.TcpConn): Promise<{ head: string; rest: Uint8Array }> {
  let text = "";
  const buffer = new Uint8Array(16_384);
  while (!text.includes("\r\n\r\n")) {
    const size = await client.read(buffer);
    if (size === null) throw new Error("no request came");
    text += Array.from(buffer.subarray(0, size), (byte) => String.fromCharCode(byte)).join("");
  }
  const end = text.indexOf("\r\n\r\n") + 4;
  return {
    head: text.slice(0, end),
    rest: Uint8Array.from(text.slice(end), (character) => character.charCodeAt(0)),
  };
}

async function write(connection: Deno.TcpConn, data: string | Uint8Array): Promise<void> {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}
