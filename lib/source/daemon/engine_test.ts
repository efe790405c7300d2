import { assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { EnrootError } from "../../errors.ts";
import { CommandError } from "../../process/run.ts";
import { engineError, parseInspected } from "./engine.ts";

const image = { engine: "docker", name: "x:1", uri: "dockerd://x:1" } as const;
const hex = "a".repeat(64);
const digest = `sha256:${hex}`;
const plain = {
  Id: digest,
  RepoDigests: [`x@sha256:${"b".repeat(64)}`],
  Architecture: "amd64",
  Os: "linux",
  RootFS: { Type: "layers", Layers: [digest] },
};

const good: readonly [about: string, document: Record<string, unknown>, isConfigDigest: boolean][] =
  [
    ["Docker 20", plain, true],
    ["podman, whose IDs have no prefix", { ...plain, Id: hex }, true],
    ["an image without repository digests", { ...plain, RepoDigests: null }, true],
    ["containerd's store in Docker 26", { ...plain, RepoDigests: [`x@${digest}`] }, false],
    [
      "containerd's store in Docker 29",
      { ...plain, RepoDigests: [], Descriptor: { digest } },
      false,
    ],
  ];
for (const [about, document, isConfigDigest] of good) {
  Deno.test(`the ID that ${about} gives is ${isConfigDigest ? "a" : "no"} config's digest`, () => {
    const { inspected } = parseInspected(JSON.stringify([document]), image);
    assertEquals(inspected.id as string, digest);
    assertEquals(inspected.isConfigDigest, isConfigDigest);
    assertEquals(inspected.diffIds as readonly string[], [digest]);
    assertEquals(inspected.platform.architecture, "amd64");
  });
}

Deno.test("an image without layers and with a variant is read", () => {
  const document = { ...plain, Architecture: "arm64", Variant: "v8", RootFS: { Type: "layers" } };
  const { inspected } = parseInspected(JSON.stringify([document]), image);
  assertEquals(inspected.diffIds, []);
  assertEquals(inspected.platform, { os: "linux", architecture: "arm64", variant: "v8" });
});

const bad: readonly [text: string, says: string][] = [
  ["", "is no JSON"],
  ["[]", "must describe one image"],
  [JSON.stringify([plain, plain]), "must describe one image"],
  [JSON.stringify([{ ...plain, Id: "sha512:x" }]), "0.Id: is no sha256"],
  [JSON.stringify([{ ...plain, RootFS: { Layers: ["x"] } }]), "0.RootFS.Layers.0"],
  [JSON.stringify([{ ...plain, Os: undefined }]), "0.Os"],
];
for (const [text, says] of bad) {
  Deno.test(`what an engine says is refused: ${says}`, () => {
    const error = refusal(() => parseInspected(text, image));
    assertEquals(error.code, "bad-inspect");
    assertStringIncludes(error.message, "what docker says of dockerd://x:1");
    assertStringIncludes(error.message, says);
  });
}

const failures: readonly [stderr: string, code: string, message: string][] = [
  [
    "Error: No such image: x:1\n",
    "no-image",
    "dockerd://x:1: docker says: No such image: x:1: pull it by 'docker pull x:1', or import it by " +
    "docker://",
  ],
  [
    "Error response from daemon: no such image: x: No such image: x:1",
    "no-image",
    "dockerd://x:1: docker says: no such image: x: No such image: x:1: pull it by " +
    "'docker pull x:1', or import it by docker://",
  ],
  [
    "Error: x:1: image not known\n",
    "no-image",
    "dockerd://x:1: docker says: x:1: image not known: pull it by 'docker pull x:1', or import it " +
    "by docker://",
  ],
  [
    "Cannot connect to the Docker daemon at unix:///s. Is the docker daemon running?\n",
    "engine-failed",
    "dockerd://x:1: docker says: Cannot connect to the Docker daemon at unix:///s. Is the docker " +
    "daemon running?",
  ],
  ["one\ntwo\nthree\nfour\n", "engine-failed", "dockerd://x:1: docker says: two; three; four"],
  [
    "WARNING: Error loading config file: x\nError response from daemon: no\n",
    "engine-failed",
    "dockerd://x:1: docker says: no",
  ],
  ["", "engine-failed", "dockerd://x:1: docker failed with exit code 1"],
];
for (const [stderr, code, message] of failures) {
  Deno.test(`an engine that fails with ${JSON.stringify(stderr)} is quoted in one line`, () => {
    const status = { success: false, code: 1, signal: null };
    const error = engineError(new CommandError(["docker"], status, stderr), image);
    assertInstanceOf(error, EnrootError);
    assertEquals([error.code, error.message], [code, message]);
  });
}

function refusal(work: () => unknown): EnrootError {
  try {
    work();
  } catch (error) {
    assertInstanceOf(error, EnrootError);
    return error;
  }
  throw new Error("nothing was refused");
}
