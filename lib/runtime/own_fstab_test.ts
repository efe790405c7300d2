import { assertEquals, assertStringIncludes } from "@std/assert";
import { MS } from "../sys/mount.ts";
import { parseFstab } from "./fstab.ts";
import { ownEntries } from "./own_fstab.ts";

const variables = { ENROOT_ROOTFS: "/store/box", HOME: "/home/me" };

const lines: [line: string, isFollowed: boolean][] = [
  ["${ENROOT_ROOTFS}/data /data none x-create=dir,bind,rw,nosuid,nodev", true],
  ["${ENROOT_ROOTFS}/data /other none x-create=dir,rbind,ro,rslave", true],
  ["tmpfs /scratch tmpfs x-create=dir,size=1g", true],
  ["proc /proc proc defaults", true],
  ["none /sys/fs/cgroup cgroup2 ro,nofail", true],
  ["/ /.host none x-create=dir,rbind,rw", false],
  ["${HOME} /home/me none rbind", false],
  ["/store/boxes /x none bind", false],
  ["${ENROOT_ROOTFS} /x none rbind,rw", false],
  ["${ENROOT_ROOTFS}/ / none rbind,rw", false],
  ["${ENROOT_ROOTFS}/.. /x none rbind,rw", false],
  ["${ENROOT_ROOTFS}//./ /x none rbind,rw", false],
  ["${ENROOT_ROOTFS}/proc /p none x-move", false],
  ["${ENROOT_ROOTFS}/data /data none bind,remount,rw", false],
  ["none /sys none remount,rw", false],
  ["none /sys sysfs remount,rw", false],
  ["x / none x-detach", false],
  ["tmpfs / tmpfs x-detach", false],
  ["tmpfs /x tmpfs bind", false],
  ["none / none rshared", false],
  ["/dev/vda /x ext4 rw", false],
  ["LABEL=root / ext4 defaults 0 1", false],
  ["overlay /x overlay lowerdir=/,upperdir=/tmp/u,workdir=/tmp/w", false],
  ["host:/x /x nfs vers=4", false],
];
for (const [line, isFollowed] of lines) {
  Deno.test(`the container's own line '${line}' is ${isFollowed ? "followed" : "passed over"}`, () => {
    const warnings: string[] = [];
    const entries = parseFstab(line, variables, "fstab");
    assertEquals(entries.length, 1);
    const followed = ownEntries(entries, "/store/box", (message) => warnings.push(message));
    assertEquals([followed.length, warnings.length], isFollowed ? [1, 0] : [0, 1]);
    if (!isFollowed) assertStringIncludes(warnings[0] ?? "", "fstab:1");
  });
}

Deno.test("what is mounted from the container never has set-id programs or devices", () => {
  const entries = parseFstab("${ENROOT_ROOTFS}/d /d none bind,suid,dev", variables, "fstab");
  const [entry] = ownEntries(entries, "/store/box", () => {});
  assertEquals([entry?.flags, entry?.cleared], [MS.BIND | MS.NOSUID | MS.NODEV, 0]);
});
