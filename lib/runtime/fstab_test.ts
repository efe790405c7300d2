import { assertEquals, assertObjectMatch, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { MS } from "../sys/mount.ts";
import { type MountEntry, parseFstab, parseMountOption } from "./fstab.ts";

const variables = { HOME: "/home/me", ENROOT_ROOTFS: "/store/box", SPACE: "a b" };

const lines: [line: string, expected: Partial<MountEntry>][] = [
  ["/proc /proc none rbind", {
    source: "/proc",
    target: "/proc",
    type: "none",
    flags: MS.BIND | MS.REC,
    pass: 0,
    create: undefined,
  }],
  ["/proc /proc rbind", { type: "none", flags: MS.BIND | MS.REC }],
  ["tmpfs /tmp", { source: "tmpfs", type: "tmpfs", flags: 0, create: "dir" }],
  ["tmpfs /tmp mode=1777,size=1g", { type: "tmpfs", data: "mode=1777,size=1g" }],
  ["tmpfs /tmp tmpfs x-create=dir,nosuid,mode=755 0 -1", {
    flags: MS.NOSUID,
    data: "mode=755",
    create: "dir",
    pass: -1,
  }],
  ["/data /mnt", { type: "none", flags: MS.BIND | MS.REC, create: "auto" }],
  ["${HOME}/x /x none bind", { source: "/home/me/x" }],
  ["${NONE}/x /x none bind", { source: "/x" }],
  ["${SPACE} /x none bind", { source: "a b" }],
  ["/a\\040b /c\\011d none bind", { source: "/a b", target: "/c\td" }],
  ["/a b none bind", { target: "/b" }],
  ["/a /b none bind,ro,nodev,noexec,nosuid", {
    flags: MS.BIND | MS.RDONLY | MS.NODEV | MS.NOEXEC | MS.NOSUID,
    cleared: 0,
  }],
  ["/a /b none bind,ro,rw", { flags: MS.BIND, cleared: MS.RDONLY }],
  ["/a /b none rbind,rslave,shared", {
    propagation: [MS.SLAVE | MS.REC, MS.SHARED],
  }],
  ["/a /b none x-move", { move: true }],
  ["none /b none x-detach", { detach: true }],
  ["/a /b none bind,nofail,silent", { nofail: true, silent: true, data: "" }],
  ["/a /b none bind,x-systemd.automount,_netdev,noauto", { data: "" }],
  ["tmpfs /b tmpfs constructor,toString", {
    type: "tmpfs",
    data: "constructor,toString",
    flags: 0,
  }],
  ["tmpfs /b constructor", { type: "constructor", create: "dir" }],
  ["${constructor}/x /b none bind", { source: "/x" }],
  ["host:/x /b nfs vers=4.2,soft", { type: "nfs", data: "vers=4.2,soft" }],
];
for (const [line, expected] of lines) {
  Deno.test(`the fstab line '${line}' is read`, () => {
    const [entry] = parseFstab(line, variables, "file");
    assertObjectMatch({ ...entry }, expected);
  });
}

Deno.test("comments and empty lines are passed over, and lines are named", () => {
  const text = "# comment\n\n  \t\n/a /b none bind\n  # more\n";
  assertEquals(parseFstab(text, variables, "x.fstab").map(({ place }) => place), ["x.fstab:4"]);
});

const bad: [line: string, why: string][] = [
  ["/only", "a source and a target"],
  ["${NONE} /x none bind", "a source and a target"],
  ["/a /b none bind 0 soon", "no number"],
  ["/a /b none bind 0 0 0", "more than six"],
  ["/a /b none x-create=socket", "x-create=socket"],
];
for (const [line, why] of bad) {
  Deno.test(`the fstab line '${line}' is refused: ${why}`, () => {
    const error = assertThrows(() => parseFstab(`\n${line}`, variables, "f"), EnrootError, why);
    assertEquals(error.message.startsWith("f:2: "), true);
  });
}

const options: [option: string, expected: Partial<MountEntry>][] = [
  ["/a:/b", { source: "/a", target: "/b", flags: MS.BIND | MS.REC, create: "auto" }],
  ["tmpfs:/b", { type: "tmpfs" }],
  ["/a:/b:none:x-create=dir,bind,ro", { flags: MS.BIND | MS.RDONLY, create: "dir" }],
  ["/a:/b:bind,ro", { type: "none", flags: MS.BIND | MS.RDONLY }],
  ["/a /b none bind", { flags: MS.BIND }],
  ["/a b:/c  d", { source: "/a b", target: "/c  d", type: "none", create: "auto" }],
  ["/a\tb:/c\nd:none:bind", { source: "/a\tb", target: "/c\nd", flags: MS.BIND }],
  ["/a b\\040:/c\\072d", { source: "/a b ", target: "/c:d" }],
  [" /a : /b : bind,ro ", { source: "/a", target: "/b", flags: MS.BIND | MS.RDONLY }],
  ["/a::/b", { source: "/a", target: "/b" }],
  ["host\\072/x y:/b:nfs:soft", { source: "host:/x y", type: "nfs", data: "soft" }],
];
for (const [option, expected] of options) {
  Deno.test(`--mount ${option} is read`, () => {
    assertObjectMatch({ ...parseMountOption(option, variables) }, expected);
  });
}
