import { assertEquals } from "@std/assert";
import { mountAt, parseMountinfo } from "./mountinfo.ts";

const text = `22 1 0:21 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/a
30 22 0:30 / /data rw shared:5 master:2 - zfs tank/enroot rw,xattr
31 30 0:31 / /data/a\\040b\\134c rw,nosuid,nodev - zfs tank/enroot/a:20b:5cc rw
32 30 0:30 /sub /other rw - zfs tank/enroot rw
33 30 0:33 / /data/é rw - zfs tank/enroot/:c3:a9 rw
ill-formed
34 30 0:34 / /data rw - tmpfs tmpfs rw
`;

Deno.test("mountinfo lines are read whatever optional fields and escapes they have", () => {
  assertEquals(parseMountinfo(text).slice(1, 5), [
    { root: "/", mountPoint: "/data", type: "zfs", source: "tank/enroot" },
    { root: "/", mountPoint: "/data/a b\\c", type: "zfs", source: "tank/enroot/a:20b:5cc" },
    { root: "/sub", mountPoint: "/other", type: "zfs", source: "tank/enroot" },
    { root: "/", mountPoint: "/data/é", type: "zfs", source: "tank/enroot/:c3:a9" },
  ]);
});

Deno.test("the last mount at a path is the one that is seen", () => {
  assertEquals(mountAt("/data", text)?.type, "tmpfs");
  assertEquals(mountAt("/data/a b\\c", text)?.source, "tank/enroot/a:20b:5cc");
  assertEquals(mountAt("/data/é", text)?.source, "tank/enroot/:c3:a9");
  assertEquals(mountAt("/", text)?.type, "overlay");
  // A folder of what is mounted elsewhere, and the beginning of a mount point.
  for (const path of ["/sub", "/dat", "/nowhere", ""]) assertEquals(mountAt(path, text), undefined);
});

Deno.test("this process has mounts", () => {
  assertEquals(mountAt("/proc")?.type, "proc");
});
