import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { EnrootError } from "../../errors.ts";
import { parseFstab } from "../fstab.ts";
import { type CdiLines, cdiLines, type CdiPlaces } from "./lines.ts";
import type { ContainerEdits } from "./spec.ts";

const debian = Deno.build.arch === "aarch64"
  ? "/usr/lib/aarch64-linux-gnu"
  : "/usr/lib/x86_64-linux-gnu";

function placesOf(
  options: {
    folders?: readonly string[];
    links?: Readonly<Record<string, readonly string[]>>;
    missing?: string;
  },
): CdiPlaces {
  const { folders = [debian], links = {}, missing } = options;
  return {
    exists: (path) => path !== missing,
    namesOf: (path) => links[path] ?? [],
    isFolder: (path) => folders.includes(path),
  };
}

function linesOf(edits: ContainerEdits, options: Parameters<typeof placesOf>[0] = {}): CdiLines {
  return cdiLines([{ path: "/etc/cdi/a.yaml", edits }], placesOf(options));
}

/** Sources and targets, as the reader of fstab sees them. */
function pairsOf({ mounts }: CdiLines): string[] {
  return parseFstab(mounts.join("\n"), {}, "lines").map(({ source, target }) =>
    `${source} ${target}`
  );
}

Deno.test("device nodes are bound with the right to be devices, and nothing else", () => {
  const { mounts } = linesOf({
    deviceNodes: [{ path: "/dev/nvidia0" }, { path: "/dev/a b", hostPath: "/dev/host" }],
  });
  assertEquals(mounts, [
    "/dev/nvidia0 /dev/nvidia0 none x-create=file,bind,nosuid,noexec",
    "/dev/host /dev/a\\040b none x-create=file,bind,nosuid,noexec",
  ]);
});

Deno.test("mounts have no devices and no set-id programs, whatever the specification says", () => {
  const { mounts, warnings } = linesOf({
    mounts: [
      { hostPath: "/a", containerPath: "/b", options: ["ro", "suid", "dev", "rprivate", "x=y"] },
      { hostPath: "tmpfs", containerPath: "/t", type: "tmpfs" },
    ],
  });
  assertEquals(mounts, ["/a /b none x-create=auto,rbind,nosuid,nodev,ro,rprivate"]);
  assertEquals(warnings.length, 1);
});

Deno.test("libraries are where the container's loader looks, under every name they have outside", () => {
  const host = "/usr/lib64/libcuda.so.550.54";
  const edits: ContainerEdits = {
    mounts: [
      { hostPath: host, containerPath: host },
      { hostPath: "/usr/lib64/gbm/x.so", containerPath: "/usr/lib64/gbm/x.so" },
      { hostPath: "/opt/nv/liba.so.1", containerPath: "/opt/nv/liba.so.1" },
      { hostPath: "/usr/lib64/x.conf", containerPath: "/usr/lib64/x.conf" },
    ],
    hooks: [
      {
        hookName: "createContainer",
        path: "/usr/bin/nvidia-cdi-hook",
        args: [
          ...[
            "nvidia-cdi-hook",
            "create-symlinks",
            "--link",
            "libcuda.so.1::/usr/lib64/libcuda.so",
          ],
          ...["--link=../libcuda.so.1::/usr/lib64/gbm/y_gbm.so", "--link", "gone::/usr/lib64/z.so"],
        ],
      },
      {
        hookName: "createContainer",
        path: "/usr/bin/nvidia-cdi-hook",
        args: ["nvidia-cdi-hook", "update-ldcache", "--folder", "/opt/nv"],
      },
    ],
  };
  const links = { [host]: ["libcuda.so.1"] };
  for (
    const [folders, folder] of [
      [[debian, "/usr/lib64", "/usr/lib"], debian],
      [["/usr/lib64", "/usr/lib"], "/usr/lib64"],
      [["/usr/lib"], "/usr/lib"],
      [[], "/usr/lib"],
    ] as const
  ) {
    const lines = linesOf(edits, { folders, links });
    assertEquals(pairsOf(lines), [
      `${host} ${folder}/libcuda.so.550.54`,
      `${host} ${folder}/libcuda.so.1`,
      `/usr/lib64/gbm/x.so ${folder}/gbm/x.so`,
      `/opt/nv/liba.so.1 ${folder}/liba.so.1`,
      "/usr/lib64/x.conf /usr/lib64/x.conf",
      `${host} ${folder}/libcuda.so`,
      `${host} ${folder}/gbm/y_gbm.so`,
    ]);
    assertEquals(lines.warnings, []);
  }
});

Deno.test("hooks that nobody knows are named, not run", () => {
  const { warnings } = linesOf({
    hooks: [{ hookName: "prestart", path: "/bin/evil", args: ["evil", "now"] }],
  });
  assertEquals(warnings, ["/etc/cdi/a.yaml: the hook '/bin/evil now' is not run"]);
});

Deno.test("no path or variable of a specification is taken for something else", () => {
  const path = "/a b/#\\${HOME}/\u00a0";
  const { mounts, environment } = linesOf({
    mounts: [{ hostPath: path, containerPath: path }],
    env: ["A=${HOME}"],
  });
  const [entry] = parseFstab(mounts.join("\n"), { HOME: "/root" }, "lines");
  assertEquals([entry?.source, entry?.target], [path, path]);
  assertEquals(environment, ["A=${ENROOT_DOLLAR}{HOME}"]);
});

Deno.test("what the host lacks is named, with the way to make the specification again", () => {
  for (
    const edits of [
      { deviceNodes: [{ path: "/dev/x", hostPath: "/gone" }] },
      { mounts: [{ hostPath: "/gone", containerPath: "/x" }] },
    ]
  ) {
    const error = assertThrows(() => linesOf(edits, { missing: "/gone" }), EnrootError);
    assertEquals(error.code, "cdi-missing");
    assertStringIncludes(error.message, "/gone, which /etc/cdi/a.yaml names, is missing");
    assertStringIncludes(error.message, "nvidia-ctk cdi generate --output=/etc/cdi/a.yaml");
  }
});

Deno.test("what several devices share is there once", () => {
  const edits = { deviceNodes: [{ path: "/dev/nvidiactl" }], env: ["A=b"] };
  const chosen = [{ path: "/a", edits }, { path: "/b", edits: { ...edits } }];
  const { mounts, environment } = cdiLines(chosen, placesOf({}));
  assertEquals([mounts.length, environment], [1, ["A=b"]]);
});
