import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { EnrootError } from "../../errors.ts";
import type { SourceOptions } from "../options.ts";
import { Transport } from "./transport.ts";

type Handler = (request: Request, url: URL) => Response | Promise<Response>;

/** A host on loopback that notes who asked for what; stopped when disposed of. */
function serve(handler: Handler): { host: string; seen: string[] } & AsyncDisposable {
  const seen: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const url = new URL(request.url);
    seen.push(`${url.pathname}${url.search} ${request.headers.get("authorization") ?? "-"}`);
    return handler(request, url);
  });
  return {
    host: `127.0.0.1:${server.addr.port}`,
    seen,
    [Symbol.asyncDispose]: async () => await server.shutdown(),
  };
}

const { signal } = new AbortController();
const manifest = "/v2/team/app/manifests/1";
const blob = "/v2/team/app/blobs/sha256:1";

/** A client of a registry with this `hosts.toml`. */
async function makeClient(
  { host, toml, netrc = "" }: { host: string; toml: string; netrc?: string },
): Promise<
  AsyncDisposable & {
    readonly logged: string[];
    get(path: string): Promise<string>;
    /** Ask, and say that the answer was of no use. */
    refuse(path: string): Promise<boolean>;
  }
> {
  const folder = await Deno.makeTempDir({ prefix: "zenroot-mirror-" });
  await Deno.mkdir(`${folder}/certs.d/${host}`, { recursive: true });
  await Deno.writeTextFile(`${folder}/certs.d/${host}/hosts.toml`, toml);
  await Deno.writeTextFile(`${folder}/.credentials`, netrc, { mode: 0o600 });
  const logged: string[] = [];
  const options: SourceOptions = {
    architecture: "amd64",
    cachePath: "/nonexistent",
    tempPath: "/tmp",
    allowHttp: true,
    connectTimeoutSeconds: 5,
    transferTimeoutSeconds: 0,
    retries: 0,
    maxConnections: 1,
    signal,
    log: (level, message) => void logged.push(`${level} ${message}`),
    registries: {
      credentialsFile: `${folder}/.credentials`,
      certsFolders: [`${folder}/none`, `${folder}/certs.d`],
      environment: {},
    },
  };
  let transport: Transport | undefined;
  return {
    logged,
    async get(path) {
      transport ??= new Transport(host, options);
      return await (await transport.get(path, {}, "the image", signal)).text();
    },
    async refuse(path) {
      transport ??= new Transport(host, options);
      const answer = await transport.get(path, {}, "the image", signal);
      await answer.body?.cancel();
      return transport.leave(answer, new EnrootError("digest-mismatch", "the image: it is wrong"));
    },
    async [Symbol.asyncDispose]() {
      transport?.[Symbol.dispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

Deno.test("a mirror is asked first, by its path, and told what it is a mirror of", async () => {
  await using mirror = serve(() => new Response("mirror"));
  await using registry = serve(() => new Response("registry"));
  const toml = `[host."http://${mirror.host}/proxy"]`;
  await using client = await makeClient({ host: registry.host, toml });
  assertEquals([await client.get(manifest), await client.get(blob)], ["mirror", "mirror"]);
  const ns = `ns=${encodeURIComponent(registry.host)}`;
  assertEquals(mirror.seen, [
    `/proxy/v2/team/app/manifests/1?${ns} -`,
    `/proxy/v2/team/app/blobs/sha256:1?${ns} -`,
  ]);
  assertEquals(registry.seen, []);
});

Deno.test("a mirror that is not to resolve tags is only asked for what has a digest", async () => {
  await using mirror = serve(() => new Response("mirror"));
  await using registry = serve(() => new Response("registry"));
  const toml = `[host."http://${mirror.host}"]\ncapabilities = ["pull"]`;
  await using client = await makeClient({ host: registry.host, toml });
  assertEquals(await client.get(manifest), "registry");
  assertEquals(await client.get("/v2/team/app/manifests/sha256:1"), "mirror");
  assertEquals(await client.get(blob), "mirror");
});

Deno.test("whatever a mirror refuses, the next one and at last the registry are asked", async () => {
  for (const status of [401, 403, 404, 429, 500, 503]) {
    await using first = serve(() => new Response(null, { status }));
    await using second = serve((_, { pathname }) =>
      pathname === blob ? new Response("second") : new Response(null, { status: 404 })
    );
    await using registry = serve(() => new Response("registry"));
    const toml = `[host."http://${first.host}"]\n[host."http://${second.host}"]`;
    await using client = await makeClient({ host: registry.host, toml });
    assertEquals([await client.get(manifest), await client.get(blob)], ["registry", "second"]);
    assertEquals([first.seen.length, second.seen.length, registry.seen.length], [2, 2, 1]);
  }
});

Deno.test("a mirror that is not there is tried once, and warned of", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await using registry = serve(() => new Response("registry"));
  const toml = `[host."http://127.0.0.1:${port}"]`;
  await using client = await makeClient({ host: registry.host, toml });
  assertEquals([await client.get(manifest), await client.get(blob)], ["registry", "registry"]);
  const warnings = client.logged.filter((line) => line.startsWith("warning"));
  assertEquals(warnings.length, 1);
  assertMatch(warnings.join(), /mirror 127\.0\.0\.1:\d+: cannot reach .*asking the next host/);
});

Deno.test("where only a mirror is reached, what it said is in the error", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const host = `127.0.0.1:${listener.addr.port}`;
  listener.close();
  await using mirror = serve(() => new Response(null, { status: 404 }));
  await using client = await makeClient({ host, toml: `[host."http://${mirror.host}"]` });
  const error = await assertRejects(() => client.get(blob), EnrootError);
  assertEquals(error.code, "unreachable");
  assertMatch(error.message, /^mirror \S+: the image: there is no such image.*; cannot reach /);
  assert(error.message.includes(host));
});

Deno.test("a mirror gets its own credentials, never the registry's and never the default", async () => {
  const challenge = { status: 401, headers: { "www-authenticate": 'Basic realm="x"' } };
  const guarded: Handler = (request) =>
    request.headers.has("authorization") ? new Response("in") : new Response(null, challenge);
  await using own = serve(guarded);
  await using other = serve(guarded);
  await using registry = serve(guarded);
  const toml = `[host."http://${other.host}"]\n[host."http://${own.host}"]
    capabilities = ["resolve"]`;
  const netrc = `machine ${registry.host} login r password r
    machine ${own.host} login m password m
    default login d password d`;
  await using client = await makeClient({ host: registry.host, toml, netrc });
  assertEquals([await client.get(manifest), await client.get(blob)], ["in", "in"]);
  const authorizationsOf = ({ seen }: { seen: string[] }): (string | undefined)[] =>
    seen.map((line) => line.split(" ").slice(1).join(" "));
  assertEquals(authorizationsOf(other), ["-", "-"]);
  assertEquals(authorizationsOf(own), ["-", `Basic ${btoa("m:m")}`]);
  assertEquals(authorizationsOf(registry), ["-", `Basic ${btoa("r:r")}`]);
});

Deno.test("headers of a host go to it alone, also when it redirects", async () => {
  let there: string | null = "not asked";
  await using store = serve(({ headers }) => {
    there = headers.get("x-team");
    return new Response("blob");
  });
  let here: string | null = null;
  await using registry = serve(({ headers }) => {
    here = headers.get("x-team");
    return Response.redirect(`http://${store.host}/b`);
  });
  const toml = `server = "http://${registry.host}"\n[header]\nx-team = "s3cret"`;
  await using client = await makeClient({ host: registry.host, toml });
  assertEquals(await client.get(blob), "blob");
  assertEquals([here, there], ["s3cret", null]);
  assert(!client.logged.join().includes("s3cret"));
});

Deno.test("a store that a redirect leads to gets no answer to its challenges", async () => {
  const challenge = { status: 401, headers: { "www-authenticate": 'Basic realm="x"' } };
  await using store = serve(() => new Response(null, challenge));
  await using registry = serve(() => Response.redirect(`http://${store.host}/b`));
  const netrc = "default login d password d";
  await using client = await makeClient({ host: registry.host, toml: "", netrc });
  const error = await assertRejects(() => client.get(blob), EnrootError);
  assertMatch(error.message, /^the image, at \S+, where \S+ redirects to: access is denied/);
  assertEquals(store.seen, ["/b -"]);
});

Deno.test("what authenticates does not come back from a detour over another origin", async () => {
  const seen: string[] = [];
  await using away: ReturnType<typeof serve> = serve(() =>
    Response.redirect(`http://${registry.host}/end`)
  );
  await using registry: ReturnType<typeof serve> = serve(({ headers }, { pathname }) => {
    const authorization = headers.get("authorization");
    seen.push(`${pathname} ${authorization === null ? "-" : "known"}`);
    if (pathname === "/end") return new Response("end");
    if (authorization !== null) return Response.redirect(`http://${away.host}/`);
    return new Response(null, { status: 401, headers: { "www-authenticate": "Basic realm=x" } });
  });
  const netrc = "default login d password d";
  await using client = await makeClient({ host: registry.host, toml: "", netrc });
  assertEquals(await client.get(blob), "end");
  assertEquals(seen, [`${blob} -`, `${blob} known`, "/end -"]);
});

Deno.test("a mirror whose answer was of no use is left out and named once, the registry never", async () => {
  await using mirror = serve(() => new Response("mirror"));
  await using registry = serve(() => new Response("registry"));
  const toml = `[host."http://${mirror.host}"]`;
  await using client = await makeClient({ host: registry.host, toml });
  assertEquals(await Promise.all([client.refuse(blob), client.refuse(blob)]), [true, true]);
  assertEquals([await client.get(manifest), await client.get(blob)], ["registry", "registry"]);
  assertEquals(await client.refuse(blob), false);
  assertEquals(mirror.seen.length, 2);
  const warnings = client.logged.filter((line) => line.startsWith("warning"));
  assertEquals(warnings, [
    `warning mirror ${mirror.host}: the image: it is wrong; it is left out, asking the next host`,
  ]);
});

Deno.test("where only a mirror that was left out is reached, why it was is in the error", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const host = `127.0.0.1:${listener.addr.port}`;
  listener.close();
  await using mirror = serve(() => new Response("mirror"));
  await using client = await makeClient({ host, toml: `[host."http://${mirror.host}"]` });
  assertEquals(await client.refuse(blob), true);
  const error = await assertRejects(() => client.get(blob), EnrootError);
  assertMatch(error.message, /^mirror \S+: the image: it is wrong; cannot reach /);
});
