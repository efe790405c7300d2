import { assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { parseDigest } from "./digest.ts";
import type { Descriptor } from "./manifest.ts";
import {
  formatPlatform,
  normalizeArchitecture,
  type Platform,
  selectPlatform,
} from "./platform.ts";

function entry(platform: string | undefined, annotations?: Record<string, string>): Descriptor {
  const [os = "", architecture = "", variant] = (platform ?? "").split("/");
  const named: Platform = { os, architecture, variant };
  return {
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    digest: parseDigest(`sha256:${"0".repeat(64)}`),
    size: 1,
    ...(platform === undefined ? {} : { platform: named }),
    ...(annotations === undefined ? {} : { annotations }),
  };
}

const choices: [there: string[], architecture: string, chosen: string][] = [
  [["linux/amd64", "linux/arm64/v8"], "amd64", "linux/amd64"],
  [["linux/amd64", "linux/arm64/v8"], "arm64", "linux/arm64/v8"],
  [["windows/amd64", "linux/amd64"], "amd64", "linux/amd64"],
  [["unknown/unknown", "linux/amd64"], "amd64", "linux/amd64"],
  [["linux/amd64/v3", "linux/amd64"], "amd64", "linux/amd64"],
  [["linux/amd64/v3", "linux/amd64/v1"], "amd64", "linux/amd64/v1"],
  [["linux/arm/v6", "linux/arm/v7"], "arm", "linux/arm/v7"],
  [["linux/arm64/v9"], "arm64", "linux/arm64/v9"],
];
for (const [there, architecture, chosen] of choices) {
  Deno.test(`of ${there.join(", ")}, ${chosen} is taken for ${architecture}`, () => {
    const { platform } = selectPlatform(there.map((each) => entry(each)), architecture, "img");
    assertEquals(platform && formatPlatform(platform), chosen);
  });
}

Deno.test("an attestation is never taken, whatever platform it names", () => {
  const attestation = entry("linux/amd64", {
    "vnd.docker.reference.type": "attestation-manifest",
  });
  assertThrows(() => selectPlatform([attestation], "amd64", "img"), EnrootError, "there is: none");
});

Deno.test("what there is is listed when nothing fits", () => {
  assertThrows(
    () => selectPlatform([entry("linux/amd64")], "constructor", "img"),
    EnrootError,
    "no image for linux/constructor",
  );
  const there = ["linux/arm64/v8", "linux/s390x", "unknown/unknown"].map((each) => entry(each));
  const error = assertThrows(() => selectPlatform(there, "amd64", "img"), EnrootError);
  assertEquals(
    error.message,
    "img has no image for linux/amd64; there is: linux/arm64/v8, linux/s390x (--arch chooses)",
  );
});

Deno.test("a single entry without a platform is the image; its config says for what", () => {
  assertEquals(selectPlatform([entry(undefined)], "amd64", "img").platform, undefined);
});

Deno.test("architectures go by the names of images", () => {
  assertEquals(normalizeArchitecture("x86_64"), "amd64");
  assertEquals(normalizeArchitecture("AArch64"), "arm64");
  assertEquals(normalizeArchitecture("ppc64le"), "ppc64le");
  assertEquals(normalizeArchitecture("constructor"), "constructor");
  for (const bad of ["", "a b", "../x", "amd64\n"]) {
    assertThrows(() => normalizeArchitecture(bad), EnrootError, "no architecture");
  }
});
