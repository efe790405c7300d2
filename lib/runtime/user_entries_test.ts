import { assertEquals } from "@std/assert";
import type { HostUser } from "./host_user.ts";
import { withGroups, withUser } from "./user_entries.ts";

const ada: HostUser = {
  name: "ada",
  uid: 1000,
  gid: 1000,
  gecos: "Ada,,,",
  home: "/home/ada",
  shell: "/bin/zsh",
  groups: [{ name: "ada", gid: 1000 }, { name: "video", gid: 44 }],
};
const root: HostUser = { ...ada, name: "root", uid: 0, gid: 0, groups: [{ name: "root", gid: 0 }] };
const entry = "ada:x:1000:1000:Ada,,,:/home/ada:/bin/bash\n";
const daemon = "daemon:x:1:1::/:/bin/false\n";

Deno.test("a user gets one line in passwd, in the place of whoever has the name or the number", () => {
  for (
    const [before, after] of [
      ["", entry],
      [daemon, daemon + entry],
      [daemon.trimEnd(), daemon + entry],
      ["ubuntu:x:1000:1000:Ubuntu:/home/ubuntu:/bin/bash\n" + daemon, daemon + entry],
      ["ada:x:7:7::/:/bin/sh\n" + daemon, daemon + entry],
      ["ada:x:7:7::/:/bin/sh\nubuntu:x:1000:1::/:\n", entry],
      // What is no line of passwd stays as it is.
      ["# comment\n:::\n1000\n", `# comment\n:::\n1000\n${entry}`],
    ] as const
  ) assertEquals(withUser(before, ada, "/bin/bash"), after);
});

Deno.test("a passwd file that has the user is not changed, nor is root in it", () => {
  for (const text of [daemon + entry, entry + "\n\n" + daemon]) {
    assertEquals(withUser(text, ada, "/bin/bash"), text);
  }
  const own = "root:x:0:0:root:/root:/bin/ash\n";
  assertEquals(withUser(own, root, "/bin/bash"), own);
  assertEquals(withUser("", root, "/bin/sh"), "root:x:0:0:Ada,,,:/home/ada:/bin/sh\n");
});

Deno.test("the user's groups are those of the host, and he is a member of the supplementary ones", () => {
  for (
    const [before, after] of [
      ["", "ada:x:1000:\nvideo:x:44:ada\n"],
      ["video:x:44:eve,bob\n", "ada:x:1000:\nvideo:x:44:eve,bob,ada\n"],
      ["video:x:44:ada\nada:x:1000:\n", "video:x:44:ada\nada:x:1000:\n"],
      ["video:x:99:eve\nirc:x:39:\n", "irc:x:39:\nada:x:1000:\nvideo:x:44:ada\n"],
      ["ubuntu:x:1000:eve\n", "ada:x:1000:eve\nvideo:x:44:ada\n"],
    ] as const
  ) assertEquals(withGroups(before, ada), after);
});

Deno.test("root's groups are the container's, where it has the group of root", () => {
  const text = "root:x:0:\ndocker:x:5:\n";
  const member = { ...root, groups: [...root.groups, { name: "docker", gid: 998 }] };
  assertEquals(withGroups(text, member), text);
});
