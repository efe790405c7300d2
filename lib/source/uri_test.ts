import { assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { defaultFileName, formatUri, parseImageUri } from "./uri.ts";

const cwd = Deno.cwd();
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
  ["docker-archive:/a b/é%.tar", "docker-archive:/a%20b/%C3%A9%25.tar", "é%.sqsh"],
];
for (const [text, full, file] of good) {
  Deno.test(`image URI ${text} is ${full}`, () => {
    const uri = parseImageUri(text);
    assertEquals(formatUri(uri), full);
    assertEquals(defaultFileName(uri), file);
  });
}

for (const scheme of ["dockerd", "podman", "zfs"]) {
  Deno.test(`${scheme}:// is known, and said to be not supported yet`, () => {
    assertThrows(
      () => parseImageUri(`${scheme}://x`),
      EnrootError,
      `${scheme}:// is not supported`,
    );
  });
}

for (const bad of ["", "ubuntu", "docker:ubuntu", "http://x/y", "oci:", "oci://", "oci:a\0b"]) {
  Deno.test(`image URI ${JSON.stringify(bad)} is refused`, () => {
    assertThrows(() => parseImageUri(bad), EnrootError, "image URI");
  });
}
