import { assertEquals } from "@std/assert";
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
