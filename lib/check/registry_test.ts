import { assertEquals, assertMatch } from "@std/assert";
import { checkRegistry } from "./registry.ts";

const options = { allowHttp: true, connectTimeoutSeconds: 5 };

Deno.test("a registry that wants to know who asks is there, one that is broken is not", async () => {
  let status = 401;
  const paths: string[] = [];
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    paths.push(new URL(request.url).pathname);
    return new Response("{}", { status });
  });
  const host = `127.0.0.1:${server.addr.port}`;
  for (const [answer, result] of [[200, "ok"], [401, "ok"], [404, "ok"], [503, "fail"]] as const) {
    status = answer;
    assertEquals((await checkRegistry(host, options)).status, result);
  }
  assertEquals([...new Set(paths)], ["/v2/"]);
  const strict = await checkRegistry(host, { ...options, allowHttp: false });
  assertEquals(strict.status, "fail");
  assertMatch(strict.remedy ?? "", /ENROOT_ALLOW_HTTP=y/);
});

Deno.test("a host that nobody listens on, or that is silent, is a failure in the end", async () => {
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const host = `127.0.0.1:${silent.addr.port}`;
  const found = await checkRegistry(host, { allowHttp: false, connectTimeoutSeconds: 1 });
  assertEquals(found.status, "fail");
  silent.close();
  assertEquals((await checkRegistry(host, options)).status, "fail");
});

Deno.test("what is no host is not asked", async () => {
  for (const host of ["a/b", "u@host", "host?x", "a b", ""]) {
    assertMatch((await checkRegistry(host, options)).detail, /no HOST/);
  }
});
