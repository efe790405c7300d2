import { assertEquals } from "@std/assert";
import { startRegistry } from "../../../tests/support/registry.ts";
import { makeSmallImage } from "../../../tests/support/small_image.ts";
import { startTokenServer } from "../../../tests/support/token_server.ts";
import { openImage } from "../source.ts";
import { parseImageUri } from "../uri.ts";

const { signal } = new AbortController();

Deno.test("it is known as whom a registry gave a manifest, and whether it was asked", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "zenroot-access-test-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const { data } = stack.use(await makeSmallImage(["public/app", "private/app"]));
  const tokens = stack.use(await startTokenServer({ users: { ann: "secret" } }));
  const withTokens = stack.use(await startRegistry(undefined, { auth: tokens.auth, data }));
  const openToAll = stack.use(await startRegistry(undefined, { data }));
  await Deno.writeTextFile(`${folder}/netrc`, "machine 127.0.0.1 login ann password secret\n", {
    mode: 0o600,
  });

  async function open(
    { port, name, netrc = "none", cache = crypto.randomUUID(), digest, asksForManifest = false }: {
      readonly port: number;
      readonly name: string;
      readonly netrc?: string;
      readonly cache?: string;
      readonly digest?: string | undefined;
      readonly asksForManifest?: boolean;
    },
  ): Promise<{ readonly access: string | undefined; readonly digest: string | undefined }> {
    const tail = digest === undefined ? ":1" : `@${digest}`;
    await using image = await openImage(
      parseImageUri(`docker://127.0.0.1:${port}/${name}${tail}`),
      {
        ...{ architecture: "amd64", cachePath: `${folder}/${cache}`, tempPath: folder },
        ...{ allowHttp: true, connectTimeoutSeconds: 5, transferTimeoutSeconds: 0, retries: 0 },
        ...{ maxConnections: 2, signal, log: () => {}, asksForManifest },
        registries: { credentialsFile: `${folder}/${netrc}`, certsFolders: [], environment: {} },
      },
    );
    return { access: image.access, digest: image.manifestDigest };
  }

  const { port } = withTokens;
  const cases = [
    [{ port: openToAll.port, name: "private/app" }, "anonymous"],
    // A token that nobody in particular gets is no credential.
    [{ port, name: "public/app" }, "anonymous"],
    [{ port, name: "public/app", netrc: "netrc" }, "authorized"],
    [{ port, name: "private/app", netrc: "netrc" }, "authorized"],
    // Nobody asks who has credentials, so they are not sent.
    [{ port: openToAll.port, name: "private/app", netrc: "netrc" }, "anonymous"],
  ] as const;
  for (const [wanted, access] of cases) {
    assertEquals((await open(wanted)).access, access, JSON.stringify(wanted));
  }
  const { digest } = await open({ port, name: "public/app", cache: "kept" });
  const pinned = { port, name: "public/app", cache: "kept", digest };
  assertEquals((await open(pinned)).access, undefined, "the cache has it");
  assertEquals((await open({ ...pinned, asksForManifest: true })).access, "anonymous");
});
