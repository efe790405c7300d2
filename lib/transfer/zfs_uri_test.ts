import { assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { hostOf, parseNamedZfsUri, parseZfsUri, type ZfsUri } from "./zfs_uri.ts";

type Parts = readonly [string | undefined, string, number | undefined, string | undefined];

const good: readonly (readonly [string, Parts])[] = [
  ["zfs://node1/ubuntu", [undefined, "node1", undefined, "ubuntu"]],
  ["zfs://me@node1.example.org:2222/a b", ["me", "node1.example.org", 2222, "a b"]],
  ["zfs://node1", [undefined, "node1", undefined, undefined]],
  ["zfs://node1/", [undefined, "node1", undefined, undefined]],
  ["zfs://[::1]:22/x", [undefined, "::1", 22, "x"]],
  ["zfs://10.0.0.1/x'$(id)", [undefined, "10.0.0.1", undefined, "x'$(id)"]],
  ["zfs://_a-b.c/x:y@z", [undefined, "_a-b.c", undefined, "x:y@z"]],
];
for (const [text, parts] of good) {
  Deno.test(`'${text}' is a container on another host`, () => {
    const { user, host, port, name } = parseZfsUri(text);
    assertEquals<unknown>([user, host, port, name], parts);
  });
}

const bad = [
  ...["zfs://", "zfs:///x", "zfs:/node/x", "docker://x", "node1/x", "zfs://-oProxyCommand=x/y"],
  ...["zfs://a@-b/c", "zfs://-a@b/c", "zfs://a b/c", "zfs://a;b/c", "zfs://a%h/c", "zfs://a@b@c/d"],
  ...["zfs://a:0/x", "zfs://a:65536/x", "zfs://a:x/y", "zfs://a:/y", "zfs://::1/x", "zfs://[x]/y"],
  ...["zfs://a/b/c", "zfs://a/.b", "zfs://a/-b", "zfs://a/b\n", "zfs://a\n/b", "zfs://é/x"],
];
for (const text of bad) {
  Deno.test(`${JSON.stringify(text)} is refused`, () => {
    assertThrows(() => parseZfsUri(text), EnrootError);
  });
}

Deno.test("where a container must be named, one is", () => {
  assertEquals<string>(parseNamedZfsUri("zfs://a/b").name, "b");
  assertThrows(() => parseNamedZfsUri("zfs://a/"), EnrootError, "append /NAME");
});

Deno.test("a host is written as it is asked for again", () => {
  const uri = (host: string, port?: number): ZfsUri => ({
    user: "me",
    host,
    port,
    name: undefined,
  });
  assertEquals([hostOf(uri("a")), hostOf(uri("a", 2)), hostOf(uri("::1", 2))], [
    ...["a", "a:2", "[::1]:2"],
  ]);
});
