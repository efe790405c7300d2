import { assert, assertEquals } from "@std/assert";
import { addLoginEnvironment, userOf } from "./user.ts";

const passwd =
  "root:x:0:0:root:/root:/bin/bash\nme:x:1000:1000::/home/me:\nodd:x:7:7::relative:sh\n";
const reader = (files: Record<string, string>) => (path: string): string | undefined => files[path];

Deno.test("the user is the one of the container's passwd", () => {
  const read = reader({ "/etc/passwd": passwd });
  assertEquals(userOf(0, read, "u"), { name: "root", home: "/root", shell: "/bin/bash" });
  assertEquals(userOf(1000, read, "u"), { name: "me", home: "/home/me", shell: "/bin/sh" });
  assertEquals(userOf(7, read, "u"), { name: "odd", home: "/", shell: "/bin/sh" });
  assertEquals(userOf(5, read, "u"), { name: "u", home: "/", shell: "/bin/sh" });
  assertEquals(userOf(5, reader({}), "u"), { name: "u", home: "/", shell: "/bin/sh" });
});

Deno.test("a login sets what nothing else has set, from the container's files", () => {
  const environment = new Map([["LANG", "mine"]]);
  const user = { name: "me", home: "/home/me", shell: "/bin/sh" };
  addLoginEnvironment(
    environment,
    user,
    false,
    reader({
      "/etc/login.defs":
        "# ENV_PATH PATH=/no\nENV_PATH  PATH=/a:/b\nENV_SUPATH PATH=/s\nENV_TZ TZ=UTC\n",
      "/etc/locale.conf": 'LANG="C.UTF-8"\nLC_TIME=de_DE\nEVIL=1\n',
    }),
  );
  assertEquals(Object.fromEntries(environment), {
    LANG: "mine",
    TERM: "dumb",
    HOME: "/home/me",
    SHELL: "/bin/sh",
    USER: "me",
    LOGNAME: "me",
    PATH: "/a:/b",
    TZ: "UTC",
    LC_TIME: "de_DE",
  });
});

Deno.test("without such files there is a path all the same", () => {
  const environment = new Map<string, string>();
  addLoginEnvironment(environment, { name: "r", home: "/", shell: "/x" }, true, reader({}));
  assertEquals(environment.get("PATH")?.includes("/usr/bin"), true);
});

Deno.test("files of any content are read in no time", () => {
  const size = 1_000_000;
  const files: Record<string, string>[] = [
    { "/etc/login.defs": "\n".repeat(size) },
    { "/etc/login.defs": `ENV_PATH${" ".repeat(size)}"x` },
    { "/etc/locale.conf": `LANG=${" ".repeat(size)}"x` },
    { "/etc/locale.conf": `LANG=${"'".repeat(size)}x` },
    { "/etc/passwd": ":".repeat(size) },
  ];
  for (const each of files) {
    const begun = performance.now();
    const user = userOf(1, reader(each), "u");
    addLoginEnvironment(new Map(), user, false, reader(each));
    assert(performance.now() - begun < 20_000);
  }
});

Deno.test("lines that hold a NUL give nothing: no program can be given it", () => {
  const read = reader({
    "/etc/passwd": "me:x:1000:1000::/home\0/me:/bin/sh\n",
    "/etc/login.defs": "ENV_PATH PATH=/a\0b\n",
    "/etc/locale.conf": "LANG=C\0\n",
  });
  const environment = new Map<string, string>();
  const user = userOf(1000, read, "u");
  addLoginEnvironment(environment, user, false, read);
  assertEquals(user.home, "/");
  assertEquals([...environment.values()].filter((value) => value.includes("\0")), []);
  assertEquals(environment.has("LANG"), false);
});

const definitions: [line: string, path: string | undefined][] = [
  ["ENV_PATH PATH=/a:/b", "/a:/b"],
  ["  ENV_PATH\t/a", "/a"],
  ['ENV_PATH "PATH=/a b"  ', "PATH=/a b"],
  ['ENV_PATH PATH="/a b"', "/a b"],
  ["ENV_PATH", undefined],
  ["ENV_PATHS /x", undefined],
  ["#ENV_PATH /x", undefined],
];
for (const [line, path] of definitions) {
  Deno.test(`login.defs with '${line}' gives ${path}`, () => {
    const environment = new Map<string, string>();
    const user = { name: "u", home: "/", shell: "/bin/sh" };
    addLoginEnvironment(environment, user, false, reader({ "/etc/login.defs": `A b\n${line}\n` }));
    const usual = environment.get("PATH")?.startsWith("/usr/local/sbin");
    assertEquals(usual ? undefined : environment.get("PATH"), path);
  });
}
