import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { defaultFileName, formatUri, parseFullUri, parseImageUri, shownUri } from "./uri.ts";

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
  ["oci:/nonexistent/a/../.././b/../../x:t", "oci:/x:t", "x+t.sqsh"],
  ["oci:/../..", "oci:/", ".sqsh"],
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

Deno.test("zfs:// is among the schemes where it is taken, and only there", () => {
  const said = (more?: readonly string[]): string =>
    assertThrows(() => parseImageUri("ubuntu", more), EnrootError).message;
  assertStringIncludes(said(["zfs://"]), "oci-archive:, docker-archive: or zfs://");
  assertStringIncludes(said(), "oci:, oci-archive: or docker-archive:");
  assert(!said().includes("zfs"), said());
  assertThrows(() => parseImageUri("zfs:x/y", ["zfs://"]), EnrootError, "begin with docker://");
});

Deno.test("'..' goes up from where a symlink leads to, and the last name stays what it is", async () => {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  const back = Deno.cwd();
  const pathOf = (text: string): string => formatUri(parseImageUri(text));
  try {
    await Deno.mkdir(`${folder}/job/deep`, { recursive: true });
    await Deno.mkdir(`${folder}/L`);
    await Deno.symlink(`${folder}/job/deep`, `${folder}/link`);
    await Deno.symlink(`${folder}/L`, `${folder}/job/now`);
    assertEquals(pathOf(`oci:${folder}/link/../now:t`), `oci:${folder}/job/now:t`);
    Deno.chdir(`${folder}/link`);
    for (const text of ["oci:../../L:t", "oci:.././../none/../L:t"]) {
      assertEquals(pathOf(text), `oci:${folder}/L:t`);
    }
    assertEquals(defaultFileName(parseImageUri("oci:..")), "job.sqsh");
  } finally {
    Deno.chdir(back);
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a password in what is no URI is not shown", () => {
  for (const text of ["https://u:secret@h/x", "docker:u:secret@h/x", "u:secret@h/x"]) {
    const { message } = assertThrows(() => parseImageUri(text), EnrootError);
    assert(!message.includes("secret"), message);
  }
  assertEquals(shownUri("docker://h.example:5000/a:t"), "docker://h.example:5000/a:t");
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
