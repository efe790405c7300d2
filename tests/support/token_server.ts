/**
 * A token server for a registry, on 127.0.0.1: it signs with a key of its own.
 *
 * Source: the distribution project's "Token Authentication Implementation" and "Oauth2 Token
 * Authentication".
 *
 * @module
 */

import { run } from "./command.ts";

/** How a token server behaves. */
export interface TokenServerOptions {
  /** Passwords by user; who gives none gets tokens for `public/…` only. */
  readonly users?: Readonly<Record<string, string>>;
  /** Refresh tokens that it takes. */
  readonly identityTokens?: readonly string[];
  /** How long the registry takes a token, in seconds; 60 by default. */
  readonly lifetime?: number;
  /** What it says of that, in seconds: nothing by default. */
  readonly stated?: number;
  /** Whether it answers POST alone. */
  readonly refusesGet?: boolean;
  /** A refresh token to give away with each token; it takes it. */
  readonly refreshToken?: string;
}

/** A token server at work. Disposing of it stops it. */
export interface TokenServer extends AsyncDisposable {
  readonly origin: string;
  /** The section `auth` for a registry's configuration. */
  readonly auth: Readonly<Record<string, unknown>>;
  /** One line a request: method, who asks, scopes. */
  readonly requests: readonly string[];
}

const service = "registry of the tests";
const issuer = "token server of the tests";

// Debian's registry takes a token for so long after its end, in seconds: clocks differ.
const leeway = 60;

/** Start a token server. */
export async function startTokenServer(options: TokenServerOptions = {}): Promise<TokenServer> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "zenroot-tokens-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const sign = await makeSigner(folder);
  const requests: string[] = [];

  async function answer(request: Request): Promise<Response> {
    const question = request.method === "POST"
      ? new URLSearchParams(await request.text())
      : new URL(request.url).searchParams;
    const scopes = question.getAll("scope").flatMap((scope) => scope.split(" "));
    const who = whoAsks(request, question, options);
    requests.push(`${request.method} ${who ?? "nobody"} ${scopes.join(" ")}`);
    if (request.method === "GET" && options.refusesGet) return new Response(null, { status: 405 });
    if (who === undefined) {
      return Response.json({ errors: [{ code: "UNAUTHORIZED", message: "who is this?" }] }, {
        status: 401,
      });
    }
    if (question.get("service") !== service) return new Response(null, { status: 400 });
    const token = await sign(scopes, who, options.lifetime ?? 60);
    return Response.json({
      ...(request.method === "POST" ? { access_token: token } : { token }),
      ...(options.stated === undefined ? {} : { expires_in: options.stated }),
      ...(options.refreshToken === undefined ? {} : { refresh_token: options.refreshToken }),
    });
  }

  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer);
  stack.defer(() => server.shutdown());
  const kept = stack.move();
  const origin = `http://127.0.0.1:${server.addr.port}`;
  return {
    origin,
    auth: {
      token: { realm: `${origin}/token`, service, issuer, rootcertbundle: `${folder}/tokens.crt` },
    },
    requests,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Who asks; `undefined` when it is somebody who is not let in. */
function whoAsks(
  request: Request,
  question: URLSearchParams,
  { users = {}, identityTokens = [], refreshToken }: TokenServerOptions,
): string | undefined {
  if (question.get("grant_type") === "refresh_token") {
    const token = question.get("refresh_token") ?? "";
    return token === refreshToken
      ? "refresh token"
      : identityTokens.includes(token)
      ? "identity token"
      : undefined;
  }
  const basic = request.headers.get("authorization");
  const [user = "", ...password] = basic === null
    ? [question.get("username") ?? "", question.get("password") ?? ""]
    : atob(basic.replace("Basic ", "")).split(":");
  if (user === "") return "anybody";
  return users[user] === password.join(":") ? user : undefined;
}

type Sign = (scopes: readonly string[], who: string, lifetime: number) => Promise<string>;

async function makeSigner(folder: string): Promise<Sign> {
  const path = (name: string): string => `${folder}/${name}`;
  await run([
    ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ...["-nodes", "-days", "2", "-keyout", path("tokens.key"), "-out", path("tokens.crt")],
    ...["-subj", `/CN=${issuer}`],
  ]);
  const pem = async (name: string): Promise<string> =>
    (await Deno.readTextFile(path(name))).replaceAll(/-----[^-]+-----|\s/g, "");
  const key = await crypto.subtle.importKey(
    "pkcs8",
    Uint8Array.from(atob(await pem("tokens.key")), (character) => character.charCodeAt(0)),
    { name: "ECDSA", namedCurve: "P-256" },
    false,
    ["sign"],
  );
  const header = { typ: "JWT", alg: "ES256", x5c: [await pem("tokens.crt")] };

  return async (scopes, who, lifetime) => {
    const now = Math.floor(Date.now() / 1000);
    const access = scopes.flatMap((scope) => {
      const [type = "", name = "", actions = ""] = scope.split(":");
      const isAllowed = who !== "anybody" || name.startsWith("public/");
      return isAllowed ? [{ type, name, actions: actions.split(",") }] : [];
    });
    const claims = {
      ...{ iss: issuer, sub: who, aud: service, jti: crypto.randomUUID(), access },
      ...{ iat: now - 2 * leeway, nbf: now - 2 * leeway, exp: now + lifetime - leeway },
    };
    const text = [header, claims].map((part) => base64url(JSON.stringify(part))).join(".");
    const signature = await crypto.subtle.sign(
      { name: "ECDSA", hash: "SHA-256" },
      key,
      new TextEncoder().encode(text),
    );
    const bytes = [...new Uint8Array(signature)].map((byte) => String.fromCharCode(byte)).join("");
    return `${text}.${base64url(bytes)}`;
  };
}

function base64url(text: string): string {
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
