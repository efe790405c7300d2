import { assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { defaultFileName, formatUri, parseFullUri, parseImageUri } from "./uri.ts";

const cwd = Deno.cwd();
const hex = "a".repeat(64);
const good: [text: string, full: string, file: string][] = [
  ["docker://ubuntu", "docker://registry-1.docker.io/library/ubuntu:latest", "ubuntu+latest.sqsh"],
  [
    "docker://nvcr.io/nvidia/cuda:12",
    "docker://nvcr.io/nvidia/cuda:12",
    "nvidia+cuda+12.sqsh",
  ],
  ["docker://me@h.example#a/b:c", "docker://h.example/a/b:c", "a+b+c.sqsh"],
  ["oci:/a/b", "oci:/a/b", "b.sqsh"],
  ["oci:///a/b:t", "oci:/a/b:t", "b+t.sqsh"],
  ["oci://rel:t", `oci:${cwd}/rel:t`, "rel+t.sqsh"],
  ["oci:rel/./x", `oci:${cwd}/rel/x`, "x.sqsh"],
  ["oci-archive:/a/x.tar:v1", "oci-archive:/a/x.tar:v1", "x+v1.sqsh"],
  [
    "docker-archive:/a/x.tar.gz:lib/app:v1",
    "docker-archive:/a/x.tar.gz:lib/app:v1",
    "x+lib+app+v1.sqsh",
  ],
  ["oci:/a/b:h.example:5000/x/y:1", "oci:/a/b:h.example:5000/x/y:1", "b+h.example+5000+x+y+1.sqsh"],
  [
    `oci:/a/b:h.example/x:1@sha256:${hex}`,
    `oci:/a/b:h.example/x:1@sha256:${hex}`,
    `b+h.example+x+1@sha256+${hex}.sqsh`,
  ],
  ["docker-archive:/a b/é%.tar", "docker-archive:/a%20b/%C3%A9%25.tar", "é%.sqsh"],
  ["dockerd://a/b:c", "dockerd://a/b:c", "a+b+c.sqsh"],
  ["dockerd://ubuntu", "dockerd://ubuntu", "ubuntu.sqsh"],
  ["podman://localhost/x:1", "podman://localhost/x:1", "localhost+x+1.sqsh"],
  ["dockerd://h.example:5000/a/b:1", "dockerd://h.example:5000/a/b:1", "h.example+5000+a+b+1.sqsh"],
  ["podman://[::1]:5000/x", "podman://%5B::1%5D:5000/x", "[++1]+5000+x.sqsh"],
  [`podman://x@sha256:${hex}`, `podman://x@sha256:${hex}`, "x+sha256+aaaaaaaaaaaa.sqsh"],
];
for (const [text, full, file] of good) {
  Deno.test(`image URI ${text} is ${full}`, () => {
    const uri = parseImageUri(text);
    assertEquals(formatUri(uri), full);
    assertEquals(defaultFileName(uri), file);
    assertEquals(formatUri(parseFullUri(full)), full);
  });
}

Deno.test("zfs:// is known, and said to be no image", () => {
  assertThrows(() => parseImageUri("zfs://x/y"), EnrootError, "zfs:// names a container");
});

const bads = [
  ...["", "ubuntu", "docker:ubuntu", "http://x/y", "oci:", "oci://", "oci:a\0b"],
  ...[
    "dockerd:x",
    "dockerd://",
    "dockerd://-x",
    "podman:///etc/x",
    "podman://a b",
    "dockerd://a\n",
  ],
];
for (const bad of bads) {
  Deno.test(`image URI ${JSON.stringify(bad)} is refused`, () => {
    assertThrows(() => parseImageUri(bad), EnrootError, "image URI");
  });
}
