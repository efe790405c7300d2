import { assertEquals } from "@std/assert";
import { parseFstab } from "./fstab.ts";
import { MountOrder } from "./mount_order.ts";
import type { Plan } from "./plan.ts";

const plan: Plan = {
  rootfs: "/store/box",
  runtimePath: "/run",
  mountFiles: [
    { path: "1.fstab", text: "tmpfs /early tmpfs x 0 -1\ntmpfs /file tmpfs x\n" },
    { path: "2.fstab", text: "tmpfs /earliest tmpfs x 0 -2\ntmpfs /late tmpfs x 0 9\n" },
  ],
  mountOptions: ["tmpfs:/option:tmpfs:x", "tmpfs:/early-option:tmpfs:x:0:-1"],
  environmentFiles: [],
  environmentOptions: [],
  settings: {},
  hooks: [],
  hookPrograms: {},
  writable: false,
  remapRoot: false,
  loginShell: true,
  ownProcesses: false,
  command: [],
  ignoredSignals: [],
};

const own = "${ENROOT_ROOTFS}/data /data none bind\n/etc /host none bind\n";
const variables = { ENROOT_ROOTFS: "/store/box" };
const entries = (text: string) => parseFstab(text, {}, "test");

function targets(mounts: readonly { readonly target: string }[]): string[] {
  return mounts.map(({ target }) => target);
}

Deno.test("passes below 0 come before the hooks, the others after, each side in order", () => {
  const warnings: string[] = [];
  const order = new MountOrder(plan, own, variables, (message) => warnings.push(message));
  assertEquals(targets(order.before()), ["/earliest", "/early", "/early-option"]);
  const after = order.after({
    hookMounts: entries(
      "tmpfs /hook-late tmpfs x 0 10\ntmpfs /hook tmpfs x\ntmpfs /first tmpfs x 0 -1",
    ),
    scriptMounts: entries("tmpfs /script tmpfs x\n"),
  });
  const expected = [
    "/first",
    "/hook",
    "/file",
    "/data",
    "/script",
    "/option",
    "/late",
    "/hook-late",
  ];
  assertEquals(targets(after), expected);
  assertEquals(after.filter(({ isOwn }) => isOwn).map(({ target }) => target), ["/data"]);
  assertEquals(warnings.length, 1);
});

const tables: [file: string, mounts: string[]][] = [
  ["/proc /proc rbind 0 -1", ["proc /proc proc"]],
  ["/proc //proc/ none x-create=dir,rbind,rslave 0 -1", ["proc /proc proc"]],
  ["tmpfs /m tmpfs x 0 -1", ["proc /proc proc", "tmpfs /m tmpfs"]],
  ["/proc /host/proc none rbind 0 -1", ["proc /proc proc", "/proc /host/proc none"]],
  ["proc /proc proc x 0 -1", ["proc /proc proc", "proc /proc proc"]],
];
for (const [file, expected] of tables) {
  Deno.test(`with a process namespace '${file}' mounts ${expected.join(", ")}`, () => {
    const mountFiles = [{ path: "f", text: file }];
    const order = new MountOrder(
      { ...plan, mountFiles, mountOptions: [], ownProcesses: true },
      "",
      variables,
      () => {},
    );
    const made = order.before().map(({ source, target, type }) => `${source} ${target} ${type}`);
    assertEquals(made, expected);
  });
}
