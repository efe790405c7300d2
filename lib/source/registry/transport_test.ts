import { assert, assertEquals, assertRejects } from "@std/assert";
import { makeCertificates } from "../../../tests/support/certificates.ts";
import { EnrootError } from "../../errors.ts";
import type { SourceOptions } from "../options.ts";
import { RegistryError } from "./error.ts";
import { Transport } from "./transport.ts";

type Handler = (request: Request, url: URL) => Response | Promise<Response>;

/** A server on loopback that answers by path; stopped when disposed of. */
function serve(handler: Handler): { host: string; seen: string[] } & AsyncDisposable {
  const seen: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const url = new URL(request.url);
    seen.push(`${url.pathname} ${request.headers.get("authorization") ?? "-"}`);
    return url.pathname === "/v2/" ? new Response("{}") : handler(request, url);
  });
  return {
    host: `127.0.0.1:${server.addr.port}`,
    seen,
    [Symbol.asyncDispose]: async () => await server.shutdown(),
  };
}

/** A host on loopback that hears what it is asked and hangs up; stopped when disposed of. */
function hangUp(listener: Deno.TcpListener | Deno.TlsListener): { name: string } & AsyncDisposable {
  const served = (async (): Promise<void> => {
    for await (const connection of listener) {
      await connection.read(new Uint8Array(4096)).catch(() => {});
      connection.close();
    }
  })();
  return {
    name: `127.0.0.1:${listener.addr.port}`,
    async [Symbol.asyncDispose]() {
      listener.close();
      await served;
    },
  };
}

function options(changes: Partial<SourceOptions> = {}): SourceOptions {
  return {
    architecture: "amd64",
    cachePath: "/nonexistent",
    tempPath: "/tmp",
    allowHttp: true,
    connectTimeoutSeconds: 5,
    transferTimeoutSeconds: 0,
    retries: 0,
    maxConnections: 1,
    signal: new AbortController().signal,
    log: () => {},
    ...changes,
  };
}

const path = "/v2/team/app/manifests/t";
const { signal } = new AbortController();

Deno.test("a token is fetched when asked for, used again, and told to nobody else", async () => {
  await using store = serve(() => new Response("blob"));
  await using registry = serve((request, url) => {
    if (url.pathname === "/token") {
      assertEquals(url.searchParams.get("scope"), "repository:team/app:pull");
      assertEquals(url.searchParams.get("service"), "reg");
      return Response.json({ token: "t0ken" });
    }
    if (request.headers.get("authorization") !== "Bearer t0ken") {
      const challenge = `Bearer realm="http://${registry.host}/token",service="reg"`;
      return new Response("{}", { status: 401, headers: { "www-authenticate": challenge } });
    }
    return url.pathname.includes("/blobs/")
      ? new Response(null, { status: 307, headers: { location: `http://${store.host}/there` } })
      : new Response("manifest");
  });
  const transport = new Transport(registry.host, options());
  assertEquals(await (await transport.get(path, {}, "x", signal)).text(), "manifest");
  const blob = await transport.get("/v2/team/app/blobs/sha256:1", {}, "x", signal);
  assertEquals(await blob.text(), "blob");
  assertEquals(registry.seen.filter((line) => line.startsWith("/token")).length, 1);
  assertEquals(store.seen, ["/there -"]);
});

Deno.test("a refusal says what the registry says, in one line", async () => {
  const errors = [{ code: "DENIED", message: "not\nfor you" }];
  await using registry = serve(() => Response.json({ errors }, { status: 403 }));
  const transport = new Transport(registry.host, options());
  const error = await assertRejects(
    () => transport.get(path, {}, "the image", signal),
    RegistryError,
  );
  assertEquals([error.status, error.diagnostics], [403, ["not for you"]]);
  assert(!error.message.includes("\n"));
  assert(error.message.startsWith("the image: access is forbidden"));
});

Deno.test("a registry that does not answer is given up after the configured time", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  await using registry = serve(() => promise);
  const transport = new Transport(registry.host, options({ connectTimeoutSeconds: 1 }));
  const began = performance.now();
  const error = await assertRejects(() => transport.get(path, {}, "x", signal), EnrootError);
  assert(error.message.includes("ENROOT_CONNECT_TIMEOUT"), error.message);
  assert(performance.now() - began < 20_000);
  resolve(new Response());
});

Deno.test("without leave a registry without TLS is not spoken to", async () => {
  await using registry = serve(() => new Response("manifest"));
  const transport = new Transport(registry.host, options({ allowHttp: false }));
  const error = await assertRejects(() => transport.get(path, {}, "x", signal), EnrootError);
  assert(error.message.includes("ENROOT_ALLOW_HTTP=y"), error.message);
  assertEquals(registry.seen, []);
});

Deno.test("without leave nobody is sent a request by a token server or redirect without TLS", async () => {
  await using registry = serve(() => {
    const challenge = `Bearer realm="ftp://x/token"`;
    return new Response("{}", { status: 401, headers: { "www-authenticate": challenge } });
  });
  const transport = new Transport(registry.host, options());
  const error = await assertRejects(() => transport.get(path, {}, "x", signal), EnrootError);
  assertEquals(error.code, "insecure");
});

Deno.test("redirects without end are an error", async () => {
  await using registry = serve((request) =>
    new Response(null, { status: 302, headers: { location: request.url } })
  );
  const transport = new Transport(registry.host, options());
  const error = await assertRejects(() => transport.get(path, {}, "x", signal), EnrootError);
  assertEquals(error.code, "redirects");
});

Deno.test("nobody at the port is said to be unreachable, by address", async () => {
  let host: string;
  {
    await using registry = serve(() => new Response());
    host = registry.host;
  }
  const error = await assertRejects(
    () => new Transport(host, options()).get(path, {}, "x", signal),
    EnrootError,
  );
  assertEquals(error.code, "unreachable");
  assert(error.message.includes(host), error.message);
});

Deno.test("only a host with TLS that hangs up is said to want a certificate", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const tls = await makeCertificates(folder);
    const cert = await Deno.readTextFile(tls.certificate);
    const key = await Deno.readTextFile(tls.key);
    const local = { hostname: "127.0.0.1", port: 0 };
    for (const isTls of [false, true]) {
      const listener = isTls ? Deno.listenTls({ ...local, cert, key }) : Deno.listen(local);
      await using host = hangUp(listener);
      await Deno.mkdir(`${folder}/certs.d/${host.name}`, { recursive: true });
      await Deno.copyFile(tls.authority, `${folder}/certs.d/${host.name}/ca.crt`);
      using transport = new Transport(
        host.name,
        options({
          allowHttp: !isTls,
          registries: {
            ...{ credentialsFile: `${folder}/none`, environment: {} },
            certsFolders: [`${folder}/certs.d`],
          },
        }),
      );
      const error = await assertRejects(
        () => transport.get(path, {}, "it", signal),
        EnrootError,
        `cannot reach ${host.name}`,
      );
      assertEquals(
        [error.code, /put a client certificate into certs\.d/.test(error.message)],
        ["unreachable", isTls],
        error.message,
      );
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a registry that was not there is found when it is asked again", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const transport = new Transport(`127.0.0.1:${port}`, options());
  await assertRejects(() => transport.get(path, {}, "x", signal), EnrootError);
  await using _server = Deno.serve(
    { hostname: "127.0.0.1", port, onListen: () => {} },
    () => new Response("manifest"),
  );
  assertEquals(await (await transport.get(path, {}, "x", signal)).text(), "manifest");
});

/** A registry that asks for a token; `token` answers the token server's requests. */
function serveWithTokens(token: () => Response | Promise<Response>): ReturnType<typeof serve> {
  const registry: ReturnType<typeof serve> = serve((request, url) => {
    if (url.pathname === "/token") return token();
    if (request.headers.get("authorization") === "Bearer good") return new Response("manifest");
    const challenge = `Bearer realm="http://${registry.host}/token"`;
    return new Response("{}", { status: 401, headers: { "www-authenticate": challenge } });
  });
  return registry;
}

Deno.test("a token server that failed is asked again, not remembered", async () => {
  let asked = 0;
  await using registry = serveWithTokens(() =>
    ++asked === 1 ? new Response(null, { status: 503 }) : Response.json({ access_token: "good" })
  );
  const transport = new Transport(registry.host, options());
  const error = await assertRejects(() => transport.get(path, {}, "x", signal), RegistryError);
  assertEquals(error.status, 503);
  assertEquals(await (await transport.get(path, {}, "x", signal)).text(), "manifest");
});

Deno.test("requests that are refused at once fetch one new token for all", async () => {
  let asked = 0;
  await using registry = serveWithTokens(async () => {
    asked++;
    await new Promise((resolve) => setTimeout(resolve, 50));
    return Response.json({ token: asked === 1 ? "expired" : "good" });
  });
  const transport = new Transport(registry.host, options());
  await assertRejects(() => transport.get(path, {}, "x", signal), RegistryError);
  const all = Array.from({ length: 8 }, () => transport.get(path, {}, "x", signal));
  for (const response of await Promise.all(all)) assertEquals(await response.text(), "manifest");
  assertEquals(asked, 2);
});

Deno.test("a refusal whose body does not end is told without its words", async () => {
  const stop = new AbortController();
  const stalled = (): Response => new Response(new ReadableStream(), { status: 404 });
  await using registry = serve(stalled);
  const transport = new Transport(registry.host, options());
  const error = await assertRejects(() => transport.get(path, {}, "x", stop.signal), RegistryError);
  assertEquals([error.status, error.diagnostics], [404, []]);
});
