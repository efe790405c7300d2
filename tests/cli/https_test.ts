import { assertEquals, assertMatch } from "@std/assert";
import { Bed } from "../support/bed.ts";
import { makeCertificates } from "../support/certificates.ts";
import { run } from "../support/command.ts";
import { makeSampleImage } from "../support/sample_image.ts";
import { startRegistry } from "../support/registry.ts";

Deno.test("an image comes over https when the registry's authority is trusted, else not", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "zenroot-https-" });
  try {
    const tls = await makeCertificates(folder);
    await Deno.chmod(folder, 0o755);
    await using registry = await startRegistry(tls);
    await using bed = await Bed.make("plain user");
    const name = `127.0.0.1:${registry.port}/team/sample:1.0`;
    await makeSampleImage(`${folder}/layout`);
    await Deno.mkdir(`${folder}/trusted`);
    await Deno.copyFile(tls.authority, `${folder}/trusted/ca.crt`);
    await run([
      ...["skopeo", "copy", "--quiet", `--dest-cert-dir=${folder}/trusted`],
      ...[`oci:${folder}/layout:sample`, `docker://${name}`],
    ]);
    const without = ["ENROOT_ALLOW_HTTP"];

    await t.step("trusted", async () => {
      const env = { SSL_CERT_FILE: tls.authority };
      await bed.succeed(["import", "-o", "a.sqsh", `docker://${name}`], { env, without });
      await bed.succeed(["load", "-n", "box", `docker://${name}`], { env, without });
    });

    await t.step("not trusted, also where plain http is allowed", async () => {
      for (const options of [{ without }, {}]) {
        const args = ["import", "-o", "b.sqsh", `docker://${name}`];
        const { code, stderr } = await bed.enroot(args, options);
        assertEquals(code, 1);
        assertMatch(stderr, /\[ERROR\] cannot trust 127\.0\.0\.1.*certificate.*SSL_CERT_FILE/);
      }
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
