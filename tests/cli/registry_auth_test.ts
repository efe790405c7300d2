import { assert, assertEquals, assertMatch } from "@std/assert";
import { Bed } from "../support/bed.ts";
import { startRegistry } from "../support/registry.ts";
import { makeSmallImage } from "../support/small_image.ts";
import { startTokenServer } from "../support/token_server.ts";

Deno.test("credentials reach the registry from the user's files, and no output", async (t) => {
  await using image = await makeSmallImage(["private/app"]);
  await using tokens = await startTokenServer({ users: { bob: "g00d-s3cret" } });
  const { auth } = tokens;
  await using registry = await startRegistry(undefined, { auth, data: image.data });
  await using bed = await Bed.make("plain user");
  const uri = `docker://127.0.0.1:${registry.port}/private/app:1`;
  const credentials = `${bed.home}/.config/enroot/.credentials`;
  await Deno.mkdir(`${bed.home}/.config/enroot`, { recursive: true });
  const outputs: string[] = [];
  const enroot = async (...args: string[]): Promise<string> => {
    const env = { ENROOT_DEBUG: "y", REGISTRY_PASSWORD: "g00d-s3cret" };
    const { code, stdout, stderr } = await bed.enroot(["-v", ...args], { env });
    outputs.push(stdout, stderr);
    return `${code} ${stdout}${stderr}`;
  };
  const save = async (text: string): Promise<void> => {
    await Deno.writeTextFile(credentials, text, { mode: 0o600 });
    await bed.own();
  };

  await t.step("without any, it is said where they are looked for", async () => {
    const said = await enroot("import", "-o", "a.sqsh", uri);
    assertMatch(said, /^1 .*\[ERROR\] docker:\S+: access is denied.*asked without credentials/s);
    assert(said.includes(`${credentials}, ${bed.home}/.docker/config.json`), said);
  });

  await t.step("a variable of the caller", async () => {
    await save("machine 127.0.0.1 login bob password $REGISTRY_PASSWORD\n");
    assertMatch(await enroot("import", "-o", "a.sqsh", uri), /^0 /);
  });

  await t.step("a command", async () => {
    await save("machine 127.0.0.1 login bob password $(printf %s-%s g00d s3cret)\n");
    assertMatch(await enroot("digest", uri), /^0 .*sha256:/s);
  });

  await t.step("what the server refuses is explained by file and line", async () => {
    await save("# ours\nmachine 127.0.0.1 login bob password wr0ng-s3cret\n");
    const said = await enroot("digest", uri);
    assertMatch(said, /^1 .*the token server .*access is denied.*asked as 'bob'/s);
    assert(said.includes(`${credentials}:2 (machine 127.0.0.1)`), said);
  });

  await t.step("a file that is no netrc is named, with its line", async () => {
    await save("machine 127.0.0.1 login bob pasword g00d-s3cret\n");
    assert((await enroot("digest", uri)).includes(`[ERROR] ${credentials}:1: 'machine'`));
  });

  await t.step("Docker's file", async () => {
    await Deno.remove(credentials);
    const entry = { auth: btoa("bob:g00d-s3cret") };
    await Deno.mkdir(`${bed.home}/.docker`);
    await Deno.writeTextFile(
      `${bed.home}/.docker/config.json`,
      JSON.stringify({ auths: { [`127.0.0.1:${registry.port}`]: entry } }),
    );
    await bed.own();
    assertMatch(await enroot("digest", uri), /^0 .*sha256:/s);
  });

  const secrets = ["g00d", "wr0ng", btoa("bob:g00d-s3cret"), btoa("bob:wr0ng-s3cret"), "eyJ"];
  const all = outputs.join("\n");
  assertEquals(secrets.filter((secret) => all.includes(secret)), []);
  assert(all.includes("[DEBUG]"), "the outputs were the most that there can be");
});
