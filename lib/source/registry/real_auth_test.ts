import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { run } from "../../../tests/support/command.ts";
import { startRegistry } from "../../../tests/support/registry.ts";
import { makeSmallImage } from "../../../tests/support/small_image.ts";
import { startTokenServer } from "../../../tests/support/token_server.ts";
import { EnrootError } from "../../errors.ts";
import type { Image } from "../image.ts";
import { openImage } from "../source.ts";
import { Connections } from "./connections.ts";
import { parseImageUri } from "../uri.ts";

const { signal } = new AbortController();

/** An image of two layers in a registry's data, and homes for users who open it. */
interface Bed extends AsyncDisposable {
  readonly data: string;
  /** All that was logged so far. */
  readonly logged: string[];
  /** Open `REPOSITORY` or `USER@REPOSITORY`. */
  open(
    port: number,
    name: string,
    files?: CredentialFiles,
    connections?: Connections,
  ): Promise<Image>;
}

/** What a user has: enroot's file of credentials, and Docker's. */
interface CredentialFiles {
  readonly netrc?: string;
  readonly config?: unknown;
}

async function makeBed(): Promise<Bed> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "zenroot-auth-test-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const { data } = stack.use(await makeSmallImage(["public/app", "private/app"]));
  let homes = 0;
  const logged: string[] = [];
  const kept = stack.move();
  return {
    data,
    logged,
    async open(port, name, files, connections) {
      const { netrc, config } = files ?? {};
      const home = `${folder}/home${homes++}`;
      await Deno.mkdir(`${home}/.docker`, { recursive: true });
      const write = (path: string, text: string): Promise<void> =>
        Deno.writeTextFile(path, text, { mode: 0o600 });
      if (netrc !== undefined) await write(`${home}/.credentials`, netrc);
      if (config !== undefined) await write(`${home}/.docker/config.json`, JSON.stringify(config));
      const [path = "", user] = name.split("@").toReversed();
      return await openImage(
        parseImageUri(
          `docker://${user === undefined ? "" : `${user}@`}127.0.0.1:${port}/${path}:1`,
        ),
        {
          architecture: "amd64",
          cachePath: `${home}/cache`,
          tempPath: folder,
          allowHttp: true,
          connectTimeoutSeconds: 5,
          transferTimeoutSeconds: 0,
          retries: 0,
          maxConnections: 4,
          signal,
          ...(connections === undefined ? {} : { connections }),
          log: (_, message) => void logged.push(message),
          registries: {
            credentialsFile: `${home}/.credentials`,
            certsFolders: [`${home}/certs.d`],
            environment: { HOME: home, PATH: "/usr/bin:/bin" },
          },
        },
      );
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function openLayers(image: Image): Promise<number> {
  const opened = image.layers.map(async (layer) => (await layer.open({ signal })).whole);
  return (await Promise.all(opened)).length;
}

Deno.test("a registry that asks for a password gets that of a file, and tells why it refuses", async (t) => {
  await using bed = await makeBed();
  const folder = await Deno.makeTempDir({ prefix: "zenroot-htpasswd-" });
  try {
    const bcrypt = await run([
      ...["perl", "-e", "print crypt('pa:ss wörd', '$2y$05$abcdefghijklmnopqrstuu')"],
    ]);
    await Deno.writeTextFile(`${folder}/htpasswd`, `bob:${bcrypt}\n`);
    const auth = { htpasswd: { realm: "the tests", path: `${folder}/htpasswd` } };
    await using registry = await startRegistry(undefined, { auth, data: bed.data });
    const host = `127.0.0.1:${registry.port}`;
    const open = (files: CredentialFiles = {}): Promise<Image> =>
      bed.open(registry.port, "private/app", files);

    await t.step("of enroot's file", async () => {
      const netrc = `machine 127.0.0.1 login bob password "pa:ss wörd"`;
      await using image = await open({ netrc });
      assertEquals(await openLayers(image), 2);
    });

    await t.step("of Docker's file", async () => {
      const bytes = new TextEncoder().encode("bob:pa:ss wörd");
      const auth = btoa(String.fromCharCode(...bytes));
      await using image = await open({ config: { auths: { [host]: { auth } } } });
      assertEquals(await openLayers(image), 2);
    });

    await t.step("of a file that a login has written", async () => {
      const file = `${folder}/auth.json`;
      const argv = ["skopeo", "login", "--tls-verify=false", "--authfile", file, "-u", "bob"];
      await run([...argv, "--password-stdin", host], { input: "pa:ss wörd" });
      await using image = await open({ config: JSON.parse(await Deno.readTextFile(file)) });
      assertEquals(await openLayers(image), 2);
    });

    await t.step("without one, it is said where it was looked", async () => {
      const error = await assertRejects(() => open(), EnrootError);
      assertEquals(error.code, "registry-401");
      assertMatch(
        error.message,
        /asked without credentials: there are none for 127\.0\.0\.1:\d+ in /,
      );
      assertMatch(error.message, /\.credentials, .*\.docker\/config\.json/);
    });

    await t.step("with a wrong one, it is said whose and where from, not what", async () => {
      const netrc = `machine other login x password y\nmachine 127.0.0.1 login bob password s3cret`;
      const error = await assertRejects(() => open({ netrc }), EnrootError);
      assertEquals(error.code, "registry-401");
      assertMatch(
        error.message,
        /asked as 'bob' with the password of \S+\/\.credentials:2 \(machine 127\.0\.0\.1\)/,
      );
      assert(!error.message.includes("s3cret"));
      assert(!error.message.includes("\n"));
    });

    await t.step("with a user in the URI only his will do", async () => {
      const netrc = `machine 127.0.0.1 login eve password x
        machine 127.0.0.1 login bob password "pa:ss wörd"`;
      await using image = await bed.open(registry.port, "bob@private/app", { netrc });
      assertEquals(await openLayers(image), 2);
      const error = await assertRejects(
        () => bed.open(registry.port, "ann@private/app", { netrc }),
        EnrootError,
      );
      assertMatch(error.message, /no credentials of 'ann' for 127\.0\.0\.1:\d+: looked in/);
    });

    const secrets = [/pa:ss/, /s3cret/, new RegExp(btoa("bob:s3cret"))];
    for (const secret of secrets) assert(!secret.test(bed.logged.join("\n")));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("tokens of a token server", async (t) => {
  await using bed = await makeBed();

  await t.step("are had by anybody for what is public, and refused with the reason", async () => {
    await using tokens = await startTokenServer();
    await using registry = await startRegistry(undefined, { auth: tokens.auth, data: bed.data });
    await using image = await bed.open(registry.port, "public/app");
    assertEquals(await openLayers(image), 2);
    assertEquals(tokens.requests, ["GET anybody repository:public/app:pull"]);
    const error = await assertRejects(() => bed.open(registry.port, "private/app"), EnrootError);
    assertMatch(error.message, /access is denied.*asked without credentials: there are none for/);
  });

  await t.step("are had with a password, or not at all", async () => {
    await using tokens = await startTokenServer({ users: { bob: "good" } });
    await using registry = await startRegistry(undefined, { auth: tokens.auth, data: bed.data });
    const netrc = "machine 127.0.0.1 login bob password good";
    await using image = await bed.open(registry.port, "private/app", { netrc });
    assertEquals(await openLayers(image), 2);
    assertEquals(tokens.requests, ["GET bob repository:private/app:pull"]);
    const error = await assertRejects(
      () => bed.open(registry.port, "private/app", { netrc: netrc.replace("good", "s3cret") }),
      EnrootError,
    );
    assertMatch(error.message, /^the token server 127\.0\.0\.1:\d+ of 127\.0\.0\.1:\d+: access is/);
    assertMatch(error.message, /asked as 'bob' .*\(the registry says: who is this\?\)$/);
    assert(!error.message.includes("s3cret"));
  });

  await t.step("are had by POST where GET is refused", async () => {
    await using tokens = await startTokenServer({ users: { bob: "good" }, refusesGet: true });
    await using registry = await startRegistry(undefined, { auth: tokens.auth, data: bed.data });
    const netrc = "machine 127.0.0.1 login bob password good";
    await using image = await bed.open(registry.port, "private/app", { netrc });
    assertEquals(await openLayers(image), 2);
    assertEquals(tokens.requests.map((line) => line.split(" ")[0]), ["GET", "POST"]);
  });

  await t.step("are had with an identity token", async () => {
    await using tokens = await startTokenServer({ identityTokens: ["id"] });
    await using registry = await startRegistry(undefined, { auth: tokens.auth, data: bed.data });
    const entry = { auth: btoa("00000000-0000-0000-0000-000000000000:"), identitytoken: "id" };
    const config = { auths: { [`127.0.0.1:${registry.port}`]: entry } };
    await using image = await bed.open(registry.port, "private/app", { config });
    assertEquals(await openLayers(image), 2);
    assertEquals(tokens.requests, ["POST identity token repository:private/app:pull"]);
  });

  await t.step(
    "that end in the middle are replaced once for all, by the refresh token",
    async () => {
      const refreshToken = "r3fresh";
      // It says nothing of their end: it is only found out by a 401.
      await using tokens = await startTokenServer({
        ...{ users: { bob: "good" }, lifetime: 1, stated: 300, refreshToken },
      });
      await using registry = await startRegistry(undefined, { auth: tokens.auth, data: bed.data });
      const netrc = "machine 127.0.0.1 login bob password good";
      await using image = await bed.open(registry.port, "private/app", { netrc });
      await new Promise((resolve) => setTimeout(resolve, 2200));
      assertEquals(await openLayers(image), 2);
      assertEquals(tokens.requests, [
        "GET bob repository:private/app:pull",
        "POST refresh token repository:private/app:pull",
      ]);
      assert(!bed.logged.join("\n").includes(refreshToken));
    },
  );

  await t.step("are shared by images that are fetched together", async () => {
    await using tokens = await startTokenServer();
    await using registry = await startRegistry(undefined, { auth: tokens.auth, data: bed.data });
    using connections = new Connections(4);
    const open = (): Promise<Image> => bed.open(registry.port, "public/app", {}, connections);
    const images = await Promise.all([open(), open(), open()]);
    for (const image of images) assertEquals(await openLayers(image), 2);
    await images[0]?.[Symbol.asyncDispose]();
    // What one lets go of, others still use.
    await using _later = await open();
    for (const image of images.slice(1)) await image[Symbol.asyncDispose]();
    assertEquals(tokens.requests, ["GET anybody repository:public/app:pull"]);
  });

  await t.step("are replaced before they end, when that is told", async () => {
    await using tokens = await startTokenServer({ lifetime: 60, stated: 1 });
    await using registry = await startRegistry(undefined, { auth: tokens.auth, data: bed.data });
    await using image = await bed.open(registry.port, "public/app");
    await new Promise((resolve) => setTimeout(resolve, 700));
    assertEquals(await openLayers(image), 2);
    assertEquals(tokens.requests.length, 2, "the registry would have taken the first one");
  });

  await t.step("do not follow a redirect to the blobs on another port", async () => {
    const authorized: string[] = [];
    let served = 0;
    await using store = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async ({ url, headers }) => {
        if (headers.has("authorization") || headers.has("cookie")) authorized.push(url);
        served++;
        return new Response(await Deno.readFile(`${bed.data}${new URL(url).pathname}`));
      },
    );
    await using tokens = await startTokenServer();
    const blobStore = `http://127.0.0.1:${store.addr.port}`;
    await using registry = await startRegistry(undefined, {
      ...{ auth: tokens.auth, data: bed.data, blobStore },
    });
    await using image = await bed.open(registry.port, "public/app");
    assertEquals(await openLayers(image), 2);
    assertEquals([served, authorized], [3, []], "the config and two layers");
  });
});
