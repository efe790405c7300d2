import { assertEquals, assertRejects } from "@std/assert";
import { EnrootError } from "../../../errors.ts";
import { RegistryError } from "../error.ts";
import type { HttpRequest } from "../http.ts";
import { Authorizer, type AuthorizerOptions, belongTogether } from "./authorizer.ts";

const table: [registry: string, tokenServer: string, together: boolean][] = [
  ["registry-1.docker.io", "auth.docker.io", true],
  ["registry.gitlab.com", "gitlab.com", true],
  ["Registry.Corp.example:5000", "sso.corp.example", true],
  ["r.io", "auth.r.io:444", true],
  ["127.0.0.1:5000", "127.0.0.1:5001", true],
  ["localhost:5000", "localhost", true],
  ["evil.example", "auth.docker.io", false],
  ["nvcr.io", "authn.nvidia.com", false],
  ["a.io", "b.io", false],
  ["127.0.0.1", "127.0.0.2", false],
  ["[::1]:5000", "[::2]:5000", false],
  ["docker.io.evil.example", "auth.docker.io", false],
  ["a", "b", false],
  ["evil.co.uk", "victim.co.uk", false],
  ["reg.corp.co.uk", "sso.corp.co.uk", true],
];
for (const [registry, tokenServer, together] of table) {
  Deno.test(`${tokenServer} ${together ? "is" : "is not"} given its credentials for ${registry}`, () => {
    assertEquals(belongTogether(registry, tokenServer), together);
  });
}

const scope = "repository:team/app:pull";

/** An authorizer for `r.example` whose user is bob, and what it sent and looked for. */
function makeAuthorizer(
  answer: (request: HttpRequest, count: number) => Response | Promise<Response>,
  changes: Partial<AuthorizerOptions> = {},
): { authorizer: Authorizer; sent: string[]; searched: (string | undefined)[] } {
  const sent: string[] = [];
  const searched: (string | undefined)[] = [];
  const authorizer = new Authorizer({
    host: "r.example",
    allowHttp: false,
    signal: new AbortController().signal,
    search(tokenHost) {
      searched.push(tokenHost);
      const credential = { kind: "password", user: "bob", password: "s3cret" } as const;
      return Promise.resolve({ found: { credential, source: "f:1" }, looked: ["f"] });
    },
    send: async (url, request) => {
      const scopes = new URLSearchParams(request.body ?? url.searchParams).getAll("scope");
      sent.push(`${request.method ?? "GET"} ${url.host} ${scopes.join(" + ")}`);
      return await answer(request, sent.length);
    },
    ...changes,
  });
  return { authorizer, sent, searched };
}

const challengeOf = (realm: string, more = ""): string => `Bearer realm="${realm}"${more}`;
const good = challengeOf("https://auth.r.example/token");

Deno.test("a token server without TLS is sent nothing, and nobody's credentials are looked for", async () => {
  const { authorizer, sent, searched } = makeAuthorizer(() => Response.json({ token: "t" }));
  for (const realm of ["http://auth.r.example/token", "ftp://auth.r.example", "no address", ""]) {
    const grant = await authorizer.answer(challengeOf(realm), scope, undefined);
    const error = await assertRejects(() => grant?.authorization ?? Promise.reject(), EnrootError);
    assertEquals(error.code, "insecure");
  }
  assertEquals([sent, searched], [[], []]);
});

Deno.test("an entry for the token server is only looked for where both are of one domain", async () => {
  for (
    const [realm, host] of [
      ["https://auth.r.example/token", "auth.r.example"],
      ["https://auth.other.example/token", undefined],
    ]
  ) {
    const { authorizer, searched } = makeAuthorizer(() => Response.json({ token: "t" }));
    const grant = await authorizer.answer(challengeOf(realm ?? ""), scope, undefined);
    await grant?.authorization;
    assertEquals(searched, [host]);
  }
});

Deno.test("scopes of the challenge and of the request are asked for together, each once", async () => {
  const { authorizer, sent } = makeAuthorizer(() => Response.json({ token: "t" }));
  const challenge = challengeOf("https://auth.r.example/token", `,scope="${scope} extra:x:pull"`);
  const grant = await authorizer.answer(challenge, scope, undefined);
  assertEquals(await grant?.authorization, "Bearer t");
  assertEquals(sent, [`GET auth.r.example ${scope} + extra:x:pull`]);
});

Deno.test("requests that are refused with one token ask for the next one once", async () => {
  const { authorizer, sent } = makeAuthorizer((_, count) => Response.json({ token: `t${count}` }));
  const ask = async (refused?: Parameters<Authorizer["answer"]>[2]) => {
    const grants = await Promise.all(
      Array.from({ length: 8 }, () => authorizer.answer(good, scope, refused)),
    );
    assertEquals(new Set(grants).size, 1);
    return grants[0];
  };
  const first = await ask();
  const second = await ask(first);
  assertEquals([await first?.authorization, await second?.authorization], [
    "Bearer t1",
    "Bearer t2",
  ]);
  assertEquals(sent.length, 2);
});

Deno.test("what is posted to a token server follows no redirect", async () => {
  const { authorizer, sent } = makeAuthorizer((request) =>
    request.method === "POST"
      ? new Response(null, { status: 307, headers: { location: "https://evil.example/" } })
      : new Response(null, { status: 405 })
  );
  const grant = await authorizer.answer(good, scope, undefined);
  const error = await assertRejects(() => grant?.authorization ?? Promise.reject(), RegistryError);
  assertEquals(error.status, 307);
  assertEquals(sent.length, 2);
});

Deno.test("a refresh token that is refused gives way to the password", async () => {
  const { authorizer, sent } = makeAuthorizer((request, count) =>
    request.method === "POST"
      ? Response.json({ details: "expired" }, { status: 401 })
      : Response.json({ token: `t${count}`, refresh_token: "r" })
  );
  const first = await authorizer.answer(good, scope, undefined);
  assertEquals(await first?.authorization, "Bearer t1");
  const second = await authorizer.answer(good, scope, first);
  assertEquals(await second?.authorization, "Bearer t3");
  assertEquals(sent.map((line) => line.split(" ")[0]), ["GET", "POST", "GET"]);
});

Deno.test("a password that was refused is not sent again", async () => {
  const { authorizer } = makeAuthorizer(() => new Response());
  const first = await authorizer.answer('Basic realm="x"', scope, undefined);
  assertEquals(await first?.authorization, `Basic ${btoa("bob:s3cret")}`);
  assertEquals(await authorizer.answer('Basic realm="x"', scope, first), undefined);
  assertEquals(authorizer.description, "asked as 'bob' with the password of f:1");
});

const lies: [what: string, answer: () => Response][] = [
  ["no token", () => Response.json({})],
  ["no JSON", () => new Response("s3cret")],
  ["a token of two lines", () => Response.json({ token: "s3cret\r\nx: y" })],
  ["a number", () => Response.json({ token: 5 })],
];
for (const [what, answer] of lies) {
  Deno.test(`a token server that answers with ${what} is an error without what it said`, async () => {
    const { authorizer } = makeAuthorizer(answer);
    const grant = await authorizer.answer(good, scope, undefined);
    const error = await assertRejects(() => grant?.authorization ?? Promise.reject(), EnrootError);
    assertEquals([error.code, error.message.includes("s3cret")], ["bad-token", false]);
  });
}
