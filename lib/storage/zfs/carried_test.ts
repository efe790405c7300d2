import { assertEquals } from "@std/assert";
import { carriedOf } from "./carried.ts";

const good = {
  "enroot:uri": "docker://registry-1.docker.io/library/ubuntu:24.04",
  "enroot:manifest-digest": `sha256:${"ab".repeat(32)}`,
  "enroot:arch": "amd64",
  "enroot:imported": "2026-04-29T18:23:11Z",
};

Deno.test("what says where an image came from travels", () => assertEquals(carriedOf(good), good));

Deno.test("nothing else does, and no value that it could not have", () => {
  assertEquals(
    carriedOf({
      ...{ "enroot:layout": "1", "enroot:engine-id": good["enroot:manifest-digest"] },
      ...{ "enroot:last_used": "0", mountpoint: "/etc", canmount: "on", "com.x:y": "z" },
      ...{ "enroot:uri": "-", "enroot:manifest-digest": "sha256:AB", "enroot:arch": "amd64\n" },
      "enroot:imported": "yesterday",
    }),
    {},
  );
  assertEquals(carriedOf({ "enroot:arch": "-" }), {});
  assertEquals(carriedOf({ "enroot:uri": `docker://${"x".repeat(900)}` }), {});
  assertEquals(carriedOf({ "enroot:uri": "file:///etc/passwd" }), {});
});
