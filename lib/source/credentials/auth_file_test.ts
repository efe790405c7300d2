import { assert, assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../../errors.ts";
import { findInAuthFile, parseAuthFile } from "./auth_file.ts";

const auth = (text: string): string => btoa(text);
const password = (user: string, secret: string) => ({ kind: "password", user, password: secret });

const found: [what: string, file: unknown, host: string, expected: unknown][] = [
  [
    "an entry by host",
    { auths: { "r.io": { auth: auth("u:p:q") } } },
    "r.io",
    password("u", "p:q"),
  ],
  [
    "a port is part of the host",
    { auths: { "r.io": { auth: auth("u:p") } } },
    "r.io:5000",
    undefined,
  ],
  [
    "a key that is an address",
    { auths: { "https://r.io:5000/v1/": { auth: auth("u:p") } } },
    "r.io:5000",
    password("u", "p"),
  ],
  [
    "Docker Hub's old key",
    { auths: { "https://index.docker.io/v1/": { auth: auth("u:p") } } },
    "registry-1.docker.io",
    password("u", "p"),
  ],
  [
    "the entry for the repository before that for its host",
    { auths: { "r.io": { auth: auth("u:p") }, "r.io/team": { auth: auth("t:q") } } },
    "r.io",
    password("t", "q"),
  ],
  [
    "no entry for another repository",
    { auths: { "r.io/other": { auth: auth("t:q") } } },
    "r.io",
    undefined,
  ],
  [
    "an identity token before the password beside it",
    { auths: { "r.io": { auth: auth("u:"), identitytoken: "id" } } },
    "r.io",
    { kind: "identity-token", token: "id" },
  ],
  [
    "zeros at the end",
    { auths: { "r.io": { auth: auth("u:p\0\0") } } },
    "r.io",
    password("u", "p"),
  ],
  ["UTF-8", { auths: { "r.io": { auth: "dTrDpA==" } } }, "r.io", password("u", "ä")],
  ["an entry that is empty", { auths: { "r.io": {} } }, "r.io", undefined],
  ["nulls", { auths: null, credHelpers: null, HttpHeaders: {} }, "r.io", undefined],
  [
    "a user apart",
    { auths: { "r.io": { username: "u", password: "p" } } },
    "r.io",
    password("u", "p"),
  ],
];
for (const [what, file, host, expected] of found) {
  Deno.test(`config.json: ${what}`, () => {
    const answer = findInAuthFile(parseAuthFile(JSON.stringify(file), "f"), host, "team/app", "f");
    assertEquals(answer?.kind === "credential" ? answer.credential : answer, expected);
  });
}

const helpers: [
  what: string,
  file: unknown,
  host: string,
  expected: [string, string] | undefined,
][] = [
  ["of the registry", { credHelpers: { "r.io": "x" }, credsStore: "y" }, "r.io", ["x", "r.io"]],
  ["of all others", { credHelpers: { "a.io": "x" }, credsStore: "y" }, "r.io", ["y", "r.io"]],
  ["by the key that a login wrote", { auths: { "https://r.io": {} }, credsStore: "y" }, "r.io", [
    "y",
    "https://r.io",
  ]],
  ["for Docker Hub", { credHelpers: { "docker.io": "x" } }, "registry-1.docker.io", [
    "x",
    "https://index.docker.io/v1/",
  ]],
  ["that is turned off", { credHelpers: { "r.io": "" } }, "r.io", undefined],
];
for (const [what, file, host, expected] of helpers) {
  Deno.test(`config.json: the helper ${what}`, () => {
    const answer = findInAuthFile(parseAuthFile(JSON.stringify(file), "f"), host, "team/app", "f");
    assertEquals(answer?.kind === "helper" ? [answer.name, answer.server] : answer, expected);
  });
}

const bad: [what: string, text: string, message: string][] = [
  ["no JSON", '{"auths": {"r.io": s3cret}}', "f"],
  ["an array", "[]", "f: it is not as"],
  ["a number for a secret", '{"auths": {"r.io": {"auth": 5}}}', "f: 'auths.r.io' is not as"],
  ["no base64", '{"auths": {"r.io": {"auth": "s3cret"}}}', "f: the entry 'r.io' has an 'auth'"],
  ["no colon", `{"auths": {"r.io": {"auth": "${auth("s3cret")}"}}}`, "f: the entry 'r.io'"],
];
for (const [what, text, message] of bad) {
  Deno.test(`config.json: ${what} is refused by file, without what stands there`, () => {
    const read = () => findInAuthFile(parseAuthFile(text, "f"), "r.io", "a", "f");
    const error = assertThrows(read, EnrootError, message);
    assertEquals(error.code, "bad-credentials");
    assert(!error.message.includes("s3cret"));
  });
}
