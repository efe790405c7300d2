import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { EnrootError } from "../../errors.ts";
import type { CredentialSearch } from "./credential.ts";
import { type CredentialQuestion, searchCredentials } from "./search.ts";

/** A home with files; removed when disposed of. */
async function makeHome(files: Readonly<Record<string, string>>): Promise<
  AsyncDisposable & {
    readonly path: string;
    readonly warnings: string[];
    search(
      question: Partial<CredentialQuestion>,
      environment?: Readonly<Record<string, string>>,
    ): Promise<CredentialSearch>;
  }
> {
  const path = await Deno.makeTempDir({ prefix: "zenroot-credentials-" });
  for (const [name, text] of Object.entries(files)) {
    await Deno.mkdir(`${path}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(`${path}/${name}`, text, {
      mode: name.startsWith("bin/") ? 0o755 : 0o600,
    });
  }
  const warnings: string[] = [];
  return {
    path,
    warnings,
    search: (question, environment = {}) =>
      searchCredentials({ host: "r.io", repository: "team/app", allowDefault: true, ...question }, {
        registries: {
          credentialsFile: `${path}/.credentials`,
          certsFolders: [],
          environment: { PATH: `${path}/bin:/usr/bin:/bin`, HOME: path, ...environment },
        },
        signal: new AbortController().signal,
        log: (level, message) => void (level === "warning" && warnings.push(message)),
      }),
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

const shown = ({ found }: CredentialSearch): string | undefined =>
  found?.credential.kind === "password"
    ? `${found.credential.user}:${found.credential.password}`
    : found?.credential.token;
const configOf = (host: string, text: string): string =>
  JSON.stringify({ auths: { [host]: { auth: btoa(text) } } });

Deno.test("enroot's own file comes first, then those that variables name, then those at home", async () => {
  await using home = await makeHome({
    ".credentials": "machine r.io login a password 1",
    "file.json": configOf("r.io", "b:2"),
    "docker/config.json": configOf("r.io", "c:3"),
    ".docker/config.json": configOf("r.io", "d:4"),
    "run/containers/auth.json": configOf("r.io", "e:5"),
    ".config/containers/auth.json": configOf("r.io", "f:6"),
  });
  const all = {
    REGISTRY_AUTH_FILE: `${home.path}/file.json`,
    DOCKER_CONFIG: `${home.path}/docker`,
    XDG_RUNTIME_DIR: `${home.path}/run`,
  };
  const { found, looked } = await home.search({}, all);
  assertEquals(found?.source, `${home.path}/.credentials:1 (machine r.io)`);
  assertEquals(looked, [`${home.path}/.credentials`]);
  await Deno.remove(`${home.path}/.credentials`);
  const { REGISTRY_AUTH_FILE: _, ...without } = all;
  assertEquals(shown(await home.search({}, all)), "b:2");
  assertEquals(shown(await home.search({}, without)), "c:3");
  assertEquals(shown(await home.search({})), "d:4");
  await Deno.remove(`${home.path}/docker/config.json`);
  assertEquals(shown(await home.search({}, without)), "e:5");
  await Deno.remove(`${home.path}/.docker`, { recursive: true });
  assertEquals(shown(await home.search({})), "f:6");
  const nothing = await home.search({ host: "other.io" }, without);
  assertEquals([nothing.found, nothing.looked.length], [undefined, 4]);
});

Deno.test("an entry may name the host with or without its port, or the token server", async () => {
  await using home = await makeHome({
    ".credentials": `machine r.io login a password 1
      machine r.io:5000 login b password 2
      machine auth.docker.io login c password 3
      machine t.io login d password 4`,
  });
  assertEquals(shown(await home.search({ host: "r.io:5000" })), "b:2");
  assertEquals(shown(await home.search({ host: "r.io:6000" })), "a:1");
  assertEquals(shown(await home.search({ host: "registry-1.docker.io" })), "c:3");
  assertEquals(shown(await home.search({ host: "x.io", tokenHost: "t.io:444" })), "d:4");
  assertEquals(shown(await home.search({ host: "x.io" })), undefined);
});

Deno.test("with a user only his entries count, in every file", async () => {
  await using home = await makeHome({
    ".credentials": "machine r.io login a password 1\nmachine r.io login b password 2",
    ".docker/config.json": configOf("r.io", "c:3"),
  });
  assertEquals(shown(await home.search({ user: "b" })), "b:2");
  assertEquals(shown(await home.search({ user: "c" })), "c:3");
  assertEquals(shown(await home.search({ user: "d" })), undefined);
});

Deno.test("a password with a dollar is bash's, with the caller's variables; a login is not", async () => {
  await using home = await makeHome({
    ".credentials": String.raw`machine v.io login $oauthtoken password $TOKEN
      machine c.io login u password $(printf '%s' "a b" | tr a-z A-Z)
      machine q.io login u password $TOKEN";$(echo x)
      machine l.io login u password \$TOKEN
      machine e.io login u password $NOT_SET
      machine f.io login u password $(echo s3cret; echo s3cret >&2; exit 3)`,
  });
  const search = async (host: string) =>
    shown(await home.search({ host }, { TOKEN: "t *", BASH_ENV: `${home.path}/none` }));
  assertEquals(await search("v.io"), "$oauthtoken:t *");
  assertEquals(await search("c.io"), "u:A B");
  assertEquals(await search("q.io"), 'u:t *";x');
  assertEquals(await search("l.io"), "u:$TOKEN");
  const empty = await assertRejects(() => search("e.io"), EnrootError, ".credentials:5: ");
  assertMatch(empty.message, /nothing comes out of it/);
  const failed = await assertRejects(() => search("f.io"), EnrootError, ".credentials:6: ");
  assertMatch(failed.message, /exit code 3/);
  assert(!failed.message.includes("s3cret"));
});

Deno.test("nothing is run for a file that others could have written", async () => {
  await using home = await makeHome({
    ".credentials": "machine c.io login u password $(echo x)\nmachine p.io login u password p",
  });
  await Deno.chmod(`${home.path}/.credentials`, 0o660);
  await assertRejects(() => home.search({ host: "c.io" }), EnrootError, "is not expanded");
  assertEquals(shown(await home.search({ host: "p.io" })), "u:p");
  await Deno.chmod(`${home.path}/.credentials`, 0o600);
  assertEquals(shown(await home.search({ host: "C.io" })), "u:x");
});

Deno.test({
  name: "nothing is run for a file of another user, not even by root",
  ignore: Deno.uid() !== 0,
  async fn() {
    await using home = await makeHome({
      ".credentials": "machine c.io login u password $(echo x)",
    });
    await Deno.chown(`${home.path}/.credentials`, 12345, 12345);
    await assertRejects(() => home.search({ host: "c.io" }), EnrootError, "is not expanded");
  },
});

Deno.test("a helper is asked by its protocol; one that fails is warned of and has nothing", async () => {
  const helper = (body: string): string => `#!/bin/sh\nread -r server || :\n${body}\n`;
  await using home = await makeHome({
    ".docker/config.json": JSON.stringify({
      credHelpers: {
        "r.io": "good",
        "t.io": "token",
        "n.io": "none",
        "b.io": "bad",
        "m.io": "missing",
        "j.io": "junk",
        "o.io": "../bin/x",
      },
    }),
    "bin/docker-credential-good": helper(
      `[ "$1" = get ] && echo "{\\"Username\\":\\"$server\\",\\"Secret\\":\\"s\\"}"`,
    ),
    "bin/docker-credential-token": helper(`echo '{"Username":"<token>","Secret":"id"}'`),
    "bin/docker-credential-none": helper(
      "echo credentials not found in native keychain; exit 1",
    ),
    "bin/docker-credential-bad": helper("echo s3cret; echo s3cret >&2; exit 7"),
    "bin/docker-credential-junk": helper("echo s3cret"),
  });
  assertEquals(shown(await home.search({ host: "r.io" })), "r.io:s");
  assertEquals((await home.search({ host: "t.io" })).found?.credential, {
    kind: "identity-token",
    token: "id",
  });
  assertEquals((await home.search({ host: "n.io" })).found, undefined);
  assertEquals(home.warnings, []);
  for (const host of ["b.io", "m.io", "j.io", "o.io"]) {
    assertEquals((await home.search({ host })).found, undefined);
  }
  const [bad = "", missing = "", junk = "", odd = ""] = home.warnings;
  assertMatch(bad, /^docker-credential-bad: it failed with exit code 7.*config\.json.*b\.io/);
  assertMatch(missing, /^docker-credential-missing: it cannot be run/);
  assertMatch(junk, /^docker-credential-junk: its answer is not/);
  assertMatch(odd, /no name of a credential helper/);
  assert(!home.warnings.join().includes("s3cret"));
});

Deno.test("a file that others can read is warned of, and used", async () => {
  await using home = await makeHome({ ".credentials": "machine r.io login a password 1" });
  await Deno.chmod(`${home.path}/.credentials`, 0o644);
  assertEquals(shown(await home.search({})), "a:1");
  assertMatch(home.warnings.join(), /^\S+\.credentials can be read by others: chmod 600 it$/);
});

Deno.test("another tool's file that cannot be read is warned of, and done without", async () => {
  await using home = await makeHome({
    ".docker/config.json/x": "a folder",
    ".config/containers/auth.json": JSON.stringify({ auths: { "r.io": { auth: btoa("b:2") } } }),
  });
  assertEquals(shown(await home.search({})), "b:2");
  assertMatch(home.warnings.join(), /cannot read \S+config\.json: .*: going on without it$/);
});
