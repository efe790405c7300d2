import { assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { parseImageConfig } from "./image_config.ts";

const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const diffId = `sha256:${"1".repeat(64)}`;

Deno.test("everything an image says of itself is read", () => {
  const config = parseImageConfig(
    bytes({
      architecture: "arm64",
      variant: "v8",
      os: "linux",
      created: "2024-01-02T03:04:05Z",
      rootfs: { type: "layers", diff_ids: [diffId] },
      config: {
        Env: ["A=1"],
        Entrypoint: ["/entry"],
        Cmd: ["x"],
        WorkingDir: "/w",
        Volumes: { "/v": {} },
        Labels: { l: "m" },
      },
    }),
    "img",
  );
  assertEquals(JSON.parse(JSON.stringify(config)), {
    os: "linux",
    architecture: "arm64",
    variant: "v8",
    created: "2024-01-02T03:04:05Z",
    diffIds: [diffId],
    env: ["A=1"],
    entrypoint: ["/entry"],
    cmd: ["x"],
    workingDir: "/w",
    volumes: ["/v"],
    labels: { l: "m" },
  });
});

Deno.test("nulls, as Docker writes them, are empty", () => {
  const config = parseImageConfig(
    bytes({
      rootfs: { type: "layers", diff_ids: null },
      created: null,
      config: { Env: null, Entrypoint: null, Cmd: null, Volumes: null, Labels: null },
    }),
    "img",
  );
  assertEquals([config.env, config.entrypoint, config.cmd, config.volumes], [[], [], [], []]);
  assertEquals([config.os, config.architecture, config.diffIds.length], ["linux", "amd64", 0]);
});

Deno.test("a command that is one string is shell text, as old images mean it", () => {
  const config = parseImageConfig(
    bytes({ rootfs: { type: "layers", diff_ids: [] }, config: { Cmd: "echo hi" } }),
    "img",
  );
  assertEquals(config.cmd, ["/bin/sh", "-c", "echo hi"]);
});

const bad: [what: string, document: unknown, text: string][] = [
  ["no rootfs", {}, "rootfs"],
  ["a foreign rootfs", { rootfs: { type: "other", diff_ids: [] } }, "rootfs.type"],
  ["a bad diff ID", { rootfs: { type: "layers", diff_ids: ["x"] } }, "rootfs.diff_ids.0"],
  [
    "an environment of numbers",
    { rootfs: { type: "layers", diff_ids: [] }, config: { Env: [1] } },
    "config.Env.0",
  ],
];
for (const [what, document, text] of bad) {
  Deno.test(`a config with ${what} is refused`, () => {
    assertThrows(() => parseImageConfig(bytes(document), "img"), EnrootError, text);
  });
}
