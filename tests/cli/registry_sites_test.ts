import { assert, assertEquals, assertMatch } from "@std/assert";
import { Bed } from "../support/bed.ts";
import { makeCertificates } from "../support/certificates.ts";
import { run } from "../support/command.ts";
import { startForwardProxy } from "../support/forward_proxy.ts";
import { startRegistry } from "../support/registry.ts";
import { makeSmallImage } from "../support/small_image.ts";

const without = ["ENROOT_ALLOW_HTTP"];

/** Write files, by their paths. */
async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await Deno.mkdir(path.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(path, text);
  }
}

Deno.test("a registry with a private authority that wants client certificates", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "zenroot-sites-" });
  try {
    const tls = await makeCertificates(folder);
    const authority = await Deno.readTextFile(tls.authority);
    const certificate = await Deno.readTextFile(tls.client.certificate);
    const key = await Deno.readTextFile(tls.client.key);
    await using image = await makeSmallImage(["team/app"]);
    const strict = { ...tls, clientcas: [tls.authority] };
    await using registry = await startRegistry(strict, { data: image.data });
    const host = `127.0.0.1:${registry.port}`;
    const uri = `docker://${host}/team/app:1`;

    await t.step("both lie in its folder of certs.d, for any user", async () => {
      await using bed = await Bed.make("plain user");
      const place = `${bed.sysconf}/certs.d/${host}`;
      await write({ [`${place}/ca.crt`]: authority });
      const refused = await bed.enroot(["digest", uri], { without });
      assertEquals(refused.code, 1);
      assertMatch(
        refused.stderr,
        /^\[ERROR\] .* put a client certificate into certs\.d\/127\.0\.0\.1:\d+ as/m,
      );
      await write({ [`${place}/us.cert`]: certificate, [`${place}/us.key`]: key });
      assertMatch(await bed.succeed(["digest", uri], { without }), /^sha256:/);
      await bed.succeed(["import", "-o", "a.sqsh", uri], { without });
    });

    await t.step("a user's own folder comes before the system's", async () => {
      await using bed = await Bed.make("plain user");
      const own = `${bed.home}/.config/enroot/certs.d/${host}`;
      await write({
        [`${bed.sysconf}/certs.d/${host}/ca.crt`]: "no certificate",
        [`${own}/ca.crt`]: authority,
        [`${own}/us.cert`]: certificate,
        [`${own}/us.key`]: key,
      });
      await bed.own();
      assertMatch(await bed.succeed(["digest", uri], { without }), /^sha256:/);
    });

    await t.step("hosts.toml names them, for a mirror of another registry", async () => {
      await using bed = await Bed.make("plain user");
      const place = `${bed.sysconf}/certs.d/registry.example`;
      await write({
        [`${place}/hosts.toml`]: `server = "https://registry.example"
          [host."https://${host}"]
          ca = "ca.pem"
          client = [["us.pem", "us-key.pem"]]`,
        [`${place}/ca.pem`]: authority,
        [`${place}/us.pem`]: certificate,
        [`${place}/us-key.pem`]: key,
      });
      const there = "docker://registry.example/team/app:1";
      assertMatch(await bed.succeed(["digest", there], { without }), /^sha256:/);
    });

    await t.step("what is no certificate is named, and no key's content", async () => {
      await using bed = await Bed.make("plain user");
      const place = `${bed.sysconf}/certs.d/${host}`;
      await write({ [`${place}/ca.crt`]: "s3cret" });
      const { stderr } = await bed.enroot(["digest", uri], { without });
      assertMatch(stderr, /^\[ERROR\] certificate \S+\/ca\.crt: it is no PEM file$/m);
      await write({
        [`${place}/ca.crt`]: authority,
        [`${place}/us.cert`]: certificate,
        [`${place}/us.key`]: key.replace(/(.{64}\n)(?=-----END)/, "").replaceAll("M", "A"),
      });
      const broken = await bed.enroot(["-v", "digest", uri], { without });
      assertEquals(broken.code, 1);
      assert(!broken.stderr.includes(key.split("\n")[5] ?? key), broken.stderr);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the configuration file names authorities and proxies for registries", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "zenroot-sites-" });
  try {
    const tls = await makeCertificates(folder);
    await Deno.chmod(folder, 0o755);
    await using image = await makeSmallImage(["team/app"]);
    await using registry = await startRegistry(tls, { data: image.data });
    const secure = `docker://127.0.0.1:${registry.port}/team/app:1`;
    const plain = `docker://127.0.0.1:${image.port}/team/app:1`;
    const user = "proxy-user:pr0xy-s3cret";

    await t.step("SSL_CERT_FILE", async () => {
      await using bed = await Bed.make("plain user");
      await write({ [`${bed.sysconf}/enroot.conf`]: `SSL_CERT_FILE ${tls.authority}\n` });
      assertMatch(await bed.succeed(["digest", secure], { without }), /^sha256:/);
    });

    await t.step("SSL_CERT_DIR, a folder as OpenSSL has it", async () => {
      await using bed = await Bed.make("plain user");
      const hash = (await run(["openssl", "x509", "-hash", "-noout", "-in", tls.authority])).trim();
      await Deno.mkdir(`${folder}/certs`);
      await Deno.copyFile(tls.authority, `${folder}/certs/${hash}.0`);
      await run(["chmod", "-R", "a+rX", `${folder}/certs`]);
      await write({ [`${bed.sysconf}/enroot.conf`]: `SSL_CERT_DIR ${folder}/certs\n` });
      assertMatch(await bed.succeed(["digest", secure], { without }), /^sha256:/);
    });

    await t.step("https_proxy, with a user", async () => {
      await using proxy = startForwardProxy(user);
      await using bed = await Bed.make("plain user");
      const conf =
        `SSL_CERT_FILE ${tls.authority}\nhttps_proxy http://${user}@127.0.0.1:${proxy.port}\n`;
      await write({ [`${bed.sysconf}/enroot.conf`]: conf });
      await bed.succeed(["import", "-o", "a.sqsh", secure], { without });
      assertEquals(new Set(proxy.requests), new Set([`CONNECT 127.0.0.1:${registry.port}`]));
    });

    await t.step("http_proxy", async () => {
      await using proxy = startForwardProxy();
      await using bed = await Bed.make("plain user");
      const env = { http_proxy: `http://127.0.0.1:${proxy.port}`, https_proxy: "" };
      await bed.succeed(["digest", plain], { env });
      assertMatch(
        proxy.requests.join("\n"),
        /^GET http:\/\/127\.0\.0\.1:\d+\/v2\/team\/app\/manifests/,
      );
    });

    await t.step("no_proxy, in the environment and over the file's proxy", async () => {
      await using proxy = startForwardProxy();
      await using bed = await Bed.make("plain user");
      const all = `all_proxy http://127.0.0.1:${proxy.port}\nSSL_CERT_FILE ${tls.authority}\n`;
      await write({ [`${bed.sysconf}/enroot.conf`]: all });
      await bed.succeed(["digest", secure], {
        without,
        env: { no_proxy: "localhost,127.0.0.0/8" },
      });
      assertEquals(proxy.requests, []);
      await bed.succeed(["digest", secure], { without, env: { no_proxy: "other.example" } });
      assertEquals(proxy.requests.length, 1);
    });

    await t.step(
      "a proxy that refuses is said to be the reason, without its password",
      async () => {
        await using proxy = startForwardProxy("somebody:else");
        await using bed = await Bed.make("plain user");
        const env = {
          https_proxy: `http://${user}@127.0.0.1:${proxy.port}`,
          SSL_CERT_FILE: tls.authority,
          ENROOT_DEBUG: "y",
        };
        const { code, stderr } = await bed.enroot(["-v", "digest", secure], { without, env });
        assertEquals(code, 1);
        assertMatch(
          stderr,
          /^\[ERROR\] cannot reach 127\.0\.0\.1:\d+: .*the proxy of https_proxy/m,
        );
        assert(!/pr0xy-s3cret/.test(stderr) && !stderr.includes(btoa(user)), stderr);
      },
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
