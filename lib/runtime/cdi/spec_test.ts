import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { EnrootError } from "../../errors.ts";
import { parseCdiSpec } from "./spec.ts";

const yaml = `---
cdiVersion: 0.5.0
containerEdits:
  env:
  - NVIDIA_VISIBLE_DEVICES=void
  hooks:
  - args: [nvidia-cdi-hook, update-ldcache, --folder, /usr/lib64]
    hookName: createContainer
    path: /usr/bin/nvidia-cdi-hook
  mounts:
  - containerPath: /usr/bin/nvidia-smi
    hostPath: /usr/bin/nvidia-smi
    options: [ro, nosuid, nodev, rbind]
devices:
- containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
      hostPath: /dev/nvidia0
      permissions: rw
  name: 0
kind: nvidia.com/gpu
`;

Deno.test("a specification is the same as YAML and as JSON", () => {
  const spec = parseCdiSpec(yaml, "/etc/cdi/nvidia.yaml");
  assertEquals([spec.kind, spec.devices[0]?.name], ["nvidia.com/gpu", "0"]);
  assertEquals(spec.devices[0]?.containerEdits.deviceNodes, [
    { path: "/dev/nvidia0", hostPath: "/dev/nvidia0" },
  ]);
  assertEquals(spec.containerEdits.hooks?.[0]?.args?.[1], "update-ldcache");
  const { kind, devices, containerEdits } = spec;
  const json = JSON.stringify({ cdiVersion: "0.5.0", kind, devices, containerEdits });
  assertEquals(parseCdiSpec(json, "/etc/cdi/nvidia.json"), {
    ...spec,
    path: "/etc/cdi/nvidia.json",
  });
});

const good = {
  cdiVersion: "1.0.0",
  kind: "a.com/b",
  devices: [{ name: "x", containerEdits: {} }],
};

Deno.test("a specification may leave out all that is optional", () => {
  assertEquals(parseCdiSpec(JSON.stringify(good), "/a.json").containerEdits, {});
});

Deno.test("what is no specification is refused with the file and the place", () => {
  const edits = (containerEdits: unknown): unknown => ({
    ...good,
    devices: [{ name: "x", containerEdits }],
  });
  for (
    const [text, place] of [
      ["{", /cannot be read/],
      ["[]", /the document/],
      ["null", /the document/],
      [JSON.stringify({ ...good, kind: "gpu" }), /kind: is no VENDOR\/CLASS/],
      [JSON.stringify({ ...good, devices: {} }), /devices/],
      [JSON.stringify({ ...good, devices: [{ name: "x" }] }), /devices\.0\.containerEdits/],
      [JSON.stringify(edits({ env: ["A=b\nC=d"] })), /env\.0: is no NAME=VALUE/],
      [JSON.stringify(edits({ env: ["A B=c"] })), /env\.0/],
      [JSON.stringify(edits({ deviceNodes: [{ path: "dev/x" }] })), /path: is no absolute path/],
      [JSON.stringify(edits({ mounts: [{ hostPath: "/a", containerPath: "/b\n/c" }] })), /mounts/],
      [JSON.stringify(edits({ mounts: [{ containerPath: "/b" }] })), /hostPath/],
    ] as const
  ) {
    const { message } = assertThrows(() => parseCdiSpec(text, "/a.json"), EnrootError);
    assertMatch(message, /^\/a\.json /);
    assertMatch(message, place);
  }
  assertThrows(() => parseCdiSpec("a: [", "/a.yaml"), EnrootError, "/a.yaml cannot be read");
});
