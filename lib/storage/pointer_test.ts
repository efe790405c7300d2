import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { parseDigest } from "../oci/digest.ts";
import {
  assertPointable,
  formatPointer,
  parsePointer,
  type Pointer,
  readPointer,
} from "./pointer.ts";

const hex = "0123456789abcdef".repeat(4);
const pointer: Pointer = {
  imageId: parseDigest(`sha256:${hex}`),
  manifestDigest: parseDigest(`sha256:${"1".repeat(64)}`),
  architecture: "amd64",
  uri: "docker://registry-1.docker.io/library/ubuntu:24.04",
  imported: "2026-04-29T18:23:11Z",
};
const text = `enroot-zfs-image:v1
image-config-sha256=${hex}
manifest-digest=sha256:${"1".repeat(64)}
arch=amd64
uri=docker://registry-1.docker.io/library/ubuntu:24.04
imported=2026-04-29T18:23:11Z
`;

Deno.test("a pointer is written and read as it is specified", () => {
  assertEquals(formatPointer(pointer), text);
  assertEquals(parsePointer(text, "f"), pointer);
});

Deno.test("a pointer of a daemon's image has no manifest digest", () => {
  const { manifestDigest: _, ...rest } = pointer;
  const daemon = { ...rest, uri: "dockerd://ubuntu:24.04" };
  assertEquals(parsePointer(formatPointer(daemon), "f"), daemon);
});

Deno.test("pointers as zfs.4 and zfs.5 wrote them are read, with the URI as it was typed", () => {
  const zfs4 = text.replace(pointer.uri, "docker://ubuntu:24.04");
  assertEquals(zfs4.length, 260);
  assertEquals(parsePointer(zfs4, "f"), { ...pointer, uri: "docker://ubuntu:24.04" });
  const zfs5 = zfs4.replace(/^manifest-digest.*\n/m, "").replace("docker://", "dockerd://")
    .replace("amd64", "arm64");
  assertEquals(zfs5.length, 173);
  const { manifestDigest: _, ...rest } = pointer;
  const engine = { ...rest, architecture: "arm64", uri: "dockerd://ubuntu:24.04" };
  assertEquals(parsePointer(zfs5, "f"), engine);
  for (const uri of ["podman://localhost/a/b:c", "docker://nvcr.io/nvidia/cuda:12.4.1-base"]) {
    assertEquals(parsePointer(text.replace(pointer.uri, uri), "f").uri, uri);
  }
});

const alsoGood: readonly (readonly [string, string])[] = [
  ["unknown keys", `${text}x-new=anything at all\n`],
  ["another order", text.replace("arch=amd64\n", "").replace(/$/, "arch=amd64\n")],
  ["no line end at the end", text.trimEnd()],
];
for (const [what, good] of alsoGood) {
  Deno.test(`a pointer with ${what} is read`, () => assertEquals(parsePointer(good, "f"), pointer));
}

const bad: readonly (readonly [string, string])[] = [
  ["a short digest", text.replace(hex, "0123")],
  ["upper-case hex", text.replace(hex, hex.toUpperCase())],
  ["no image ID", text.replace(/^image-config.*\n/m, "")],
  ["no URI", text.replace(/^uri.*\n/m, "")],
  ["an unknown scheme", text.replace("docker://", "ftp://")],
  ["a space in the URI", text.replace("ubuntu:", "ubuntu :")],
  ["a local time", text.replace("11Z", "11+02:00")],
  ["a carriage return", text.replace("arch=amd64", "arch=amd64\r")],
  ["two image IDs", `${text}image-config-sha256=${hex}\n`],
  ["a line that is none", `${text}nonsense\n`],
  ["too many bytes", `${text}${"x-y=z\n".repeat(200)}`],
];
for (const [what, wrong] of bad) {
  Deno.test(`a pointer with ${what} is refused`, () => {
    const error = assertThrows(() => parsePointer(wrong, "file.sqsh"), EnrootError);
    assertEquals(error.code, "bad-pointer");
    assertEquals(error.message.startsWith("file.sqsh is a damaged pointer file: "), true);
  });
}

Deno.test("a URI that cannot fit, or has other characters, is refused before any work", () => {
  assertPointable("oci:/images/my%20image:tag");
  assertThrows(() => assertPointable(`oci:/${"x".repeat(900)}`), EnrootError, "too long");
  assertThrows(() => assertPointable("oci:/my image"), EnrootError, "cannot hold");
});

Deno.test("a file is a pointer by its content, not by its name", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/a.sqsh`, text);
    assertEquals(await readPointer(`${folder}/a.sqsh`), pointer);
    await Deno.writeTextFile(`${folder}/b.ptr`, `hsqs${text}`);
    assertEquals(await readPointer(`${folder}/b.ptr`), undefined);
    await Deno.writeTextFile(`${folder}/empty`, "");
    assertEquals(await readPointer(`${folder}/empty`), undefined);
    const error = await assertRejects(() => readPointer(`${folder}/none`), EnrootError);
    assertEquals(error.code, "not-found");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
