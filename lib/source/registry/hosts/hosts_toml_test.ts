import { assert, assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../../../errors.ts";
import { type HostEntry, parseHostsFile } from "./hosts_toml.ts";

const plain = {
  path: "/v2",
  capabilities: ["resolve", "pull"],
  authorities: [],
  headers: {},
  skipsVerification: false,
} as const;

const good: [what: string, text: string, mirrors: HostEntry[], server?: HostEntry][] = [
  ["nothing", "", []],
  [
    "a mirror and the registry",
    `server = "https://registry-1.docker.io"\n[host."https://m.example:5000"]`,
    [{ ...plain, origin: "https://m.example:5000" }],
    { ...plain, origin: "https://registry-1.docker.io" },
  ],
  [
    "mirrors in their order, without a scheme too",
    `[host."b.example"]\ncapabilities = ["pull", "push"]\n[host."http://a.example"]`,
    [
      { ...plain, origin: "https://b.example", capabilities: ["pull"] },
      { ...plain, origin: "http://a.example" },
    ],
  ],
  [
    "paths",
    `[host."https://a/proxy/"]\n[host."https://b/x/v2"]\n[host."https://c/y"]\noverride_path = true`,
    [
      { ...plain, origin: "https://a", path: "/proxy/v2" },
      { ...plain, origin: "https://b", path: "/x/v2" },
      { ...plain, origin: "https://c", path: "/y" },
    ],
  ],
  [
    "certificates, from the file's folder",
    `ca = "own.crt"\nserver = "https://s"
     [host."https://a"]\nca = ["/x/a.crt", "b.crt"]\nclient = [["c.cert", "/k.key"]]
     [host."https://b"]\nclient = "both.pem"`,
    [
      {
        ...plain,
        origin: "https://a",
        authorities: ["/x/a.crt", "/d/b.crt"],
        client: ["/d/c.cert", "/k.key"],
      },
      { ...plain, origin: "https://b", client: ["/d/both.pem", "/d/both.pem"] },
    ],
    { ...plain, origin: "https://s", authorities: ["/d/own.crt"] },
  ],
  [
    "headers and skip_verify",
    `[host."https://a"]\nskip_verify = true\n[host."https://a".header]\nx-a = "1"\nx-b = ["2", "3"]`,
    [{
      ...plain,
      origin: "https://a",
      headers: { "x-a": "1", "x-b": "2, 3" },
      skipsVerification: true,
    }],
  ],
];
for (const [what, text, mirrors, server] of good) {
  Deno.test(`hosts.toml: ${what}`, () => {
    assertEquals(
      parseHostsFile(text, "/d/hosts.toml"),
      { mirrors, ...(server === undefined ? {} : { server }) },
    );
  });
}

const bad: [what: string, text: string, message: string][] = [
  ["no TOML", "server = https://s3cret", "/d/hosts.toml:1: it is no TOML"],
  ["another type", "server = 5", "/d/hosts.toml: server: "],
  ["another scheme", 'server = "ftp://s"', "/d/hosts.toml: a host is no address"],
  ["a user in an address", '[host."https://u:s3cret@a"]', "/d/hosts.toml: a host is no address"],
  [
    "three files for a client",
    '[host.a]\nclient = [["a", "b", "c"]]',
    "/d/hosts.toml: 'client' is",
  ],
  ["a header of two lines", '[host.a.header]\nx = "s3cret\\nx: y"', "/d/hosts.toml: 'header.x' is"],
];
for (const [what, text, message] of bad) {
  Deno.test(`hosts.toml: ${what} is refused by file, without secrets`, () => {
    const error = assertThrows(() => parseHostsFile(text, "/d/hosts.toml"), EnrootError, message);
    assertEquals(error.code, "bad-hosts-file");
    assert(!error.message.includes("s3cret"));
  });
}
