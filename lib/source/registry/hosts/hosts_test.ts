import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { EnrootError } from "../../../errors.ts";
import { findHosts, type Hosts } from "./hosts.ts";

const pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

/** Two places with files, by their paths in them; `find` looks into both. */
async function withPlaces(
  files: Readonly<Record<string, string>>,
  body: (
    find: (registry: string, allowHttp?: boolean) => Hosts,
    logged: string[],
    folder: string,
  ) => void,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "zenroot-hosts-" });
  try {
    for (const [path, text] of Object.entries(files)) {
      await Deno.mkdir(`${folder}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${folder}/${path}`, text);
    }
    const logged: string[] = [];
    const registries = {
      credentialsFile: "/nonexistent",
      certsFolders: [`${folder}/first`, `${folder}/second`],
      environment: {},
    };
    const log = (level: string, message: string): void => void logged.push(`${level} ${message}`);
    body(
      (registry, allowHttp = false) => findHosts(registry, { registries, allowHttp, log }),
      logged,
      folder,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const toml = (mirror: string): string => `[host."https://${mirror}"]\n`;
const names = ({ list }: Hosts): string[] => list.map(({ host }) => host);

const folders: [folder: string, registry: string, isIts: boolean][] = [
  ["r.io", "r.io", true],
  ["r.io:5000", "r.io:5000", true],
  ["r.io_5000_", "r.io:5000", true],
  ["r.io", "r.io:5000", false],
  ["docker.io", "registry-1.docker.io", true],
  ["index.docker.io", "registry-1.docker.io", true],
  ["registry-1.docker.io", "registry-1.docker.io", true],
  ["_default", "r.io", true],
];
for (const [folder, registry, isIts] of folders) {
  Deno.test(`the folder ${folder} ${isIts ? "is" : "is not"} for ${registry}`, () =>
    withPlaces({ [`second/${folder}/hosts.toml`]: toml("m.io") }, (find) => {
      assertEquals(names(find(registry)), [...(isIts ? ["m.io"] : []), registry]);
    }));
}

Deno.test("the first place that has a registry's folder counts, before _default", () =>
  withPlaces({
    "first/_default/hosts.toml": toml("default.io"),
    "first/a.io/ca.crt": pem,
    "second/a.io/hosts.toml": toml("m.io"),
    "second/b.io/hosts.toml": toml("m.io"),
  }, (find) => {
    assertEquals(names(find("a.io")), ["a.io"]);
    assertEquals(names(find("b.io")), ["m.io", "b.io"]);
    assertEquals(names(find("c.io")), ["default.io", "c.io"]);
  }));

Deno.test("Docker Hub's mirrors are told docker.io", () =>
  withPlaces({ "first/docker.io/hosts.toml": toml("m.io") }, (find) => {
    assertEquals(find("registry-1.docker.io").list.map(({ mirrorOf }) => mirrorOf), [
      "docker.io",
      undefined,
    ]);
  }));

Deno.test("certificates are those of the host that is spoken to, whoever led there", () =>
  withPlaces({
    "first/r.io/hosts.toml": `${toml("m.io")}ca = "m.pem"\n[host."https://n.io:5000"]\n`,
    "first/r.io/m.pem": `${pem}m`,
    "first/r.io/ca.crt": `${pem}r`,
    "second/n.io:5000/ca.crt": `${pem}n`,
    "second/s.io:443/ca.crt": `${pem}s`,
  }, (find) => {
    const hosts = find("r.io");
    const authorityOf = (host: string): string | undefined =>
      hosts.certificatesOf(host)?.authorities.map((text) => text.at(-1)).join();
    assertEquals(["r.io", "m.io", "n.io:5000", "s.io", "x.io"].map(authorityOf), [
      ...["r", "m", "n", "s", undefined],
    ]);
  }));

Deno.test("hosts without TLS are left out, or refused, unless that is allowed", () =>
  withPlaces({
    "first/r.io/hosts.toml": `[host."http://m.io"]\n[host."https://n.io"]\n`,
    "first/s.io/hosts.toml": `server = "http://s.io"\n`,
  }, (find, logged) => {
    assertEquals(names(find("r.io", true)), ["m.io", "n.io", "r.io"]);
    assertEquals(logged, []);
    assertEquals(names(find("r.io")), ["n.io", "r.io"]);
    assertMatch(
      logged.join(),
      /^warning \S+hosts\.toml: http:\/\/m\.io is not asked: ENROOT_ALLOW/,
    );
    const error = assertThrows(() => find("s.io"), EnrootError);
    assertEquals([error.code, names(find("s.io", true))], ["insecure", ["s.io"]]);
  }));

Deno.test("skip_verify is never followed, and said not to be", () =>
  withPlaces({ "first/r.io/hosts.toml": `${toml("m.io")}skip_verify = true\n` }, (find, logged) => {
    assertEquals(names(find("r.io")), ["m.io", "r.io"]);
    assert(/^warning \S+hosts\.toml: skip_verify is ignored/.test(logged.join()), logged.join());
  }));

Deno.test("authorities for all hosts are beside those for one, and only what has a hash's name is one", () =>
  withPlaces({
    "first/r.io/ca.crt": `${pem}r`,
    "all/0a1b2c3d.0": `${pem}a`,
    "all/0a1b2c3d.1": `${pem}b`,
    "all/ffffffff.0": "no certificate",
    "all/other.pem": `${pem}c`,
  }, (_find, _logged, folder) => {
    const registries = {
      ...{ credentialsFile: "/nonexistent", certsFolders: [`${folder}/first`], environment: {} },
      authorityFolders: [`${folder}/missing`, `${folder}/all`],
    };
    const hosts = findHosts("r.io", { registries, allowHttp: false, log: () => {} });
    const authoritiesOf = (host: string): (string | undefined)[] | undefined =>
      hosts.certificatesOf(host)?.authorities.map((text) => text.at(-1)).sort();
    assertEquals(["r.io", "x.io"].map(authoritiesOf), [["a", "b", "r"], ["a", "b"]]);
  }));
