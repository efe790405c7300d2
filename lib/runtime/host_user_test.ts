import { assertEquals } from "@std/assert";
import { hostUser, type UserDatabase } from "./host_user.ts";

const passwd = "root:x:0:0:root:/root:/bin/bash\nada:x:1000:100:Ada:/home/ada:/bin/zsh\n";
const group = "users:x:100:\nvideo:x:44:ada\n";

/** A database of made-up files and a directory service, and what the service was asked. */
function databaseOf(
  service: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>> = {},
): UserDatabase & { asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    read: (path) => ({ "/etc/passwd": passwd, "/etc/group": group, ...files })[path],
    exists: (path) => path in files,
    getent(database, keys) {
      asked.push([database, ...keys].join(" "));
      return Promise.resolve(keys.map((key) => service[`${database} ${key}`] ?? "").join(""));
    },
  };
}

Deno.test("a user of the files is found without a process", async () => {
  const database = databaseOf({});
  assertEquals(await hostUser({ uid: 1000, gids: [100, 44, 100] }, database), {
    name: "ada",
    uid: 1000,
    gid: 100,
    gecos: "Ada",
    home: "/home/ada",
    shell: "/bin/zsh",
    groups: [{ name: "users", gid: 100 }, { name: "video", gid: 44 }],
  });
  assertEquals(database.asked, []);
});

Deno.test("what the files lack is asked of NSS, once a database; what it lacks is left out", async () => {
  const database = databaseOf({
    "passwd 70000": "eve:*:70000:70001:Eve:/nfs/eve:/bin/tcsh\n",
    "group 70001": "lab:*:70001:\n",
  });
  const user = await hostUser({ uid: 70000, gids: [70001, 44, 70002] }, database);
  assertEquals(user?.name, "eve");
  assertEquals(user?.groups, [{ name: "lab", gid: 70001 }, { name: "video", gid: 44 }]);
  assertEquals(database.asked, ["passwd 70000", "group 70001 70002"]);
});

Deno.test("NSS is only asked where something beside the files may know more", async () => {
  const databases = (services: string): string =>
    `hosts: dns\npasswd: ${services}\ngroup:${services}\n`;
  const table: readonly [services: string, more: Record<string, string>, isAsked: boolean][] = [
    ["files", {}, false],
    ["files systemd # and nobody else", {}, false],
    ["files systemd", { "/run/systemd/userdb": "" }, true],
    ["files sss", {}, true],
    ["compat", {}, true],
    ["files [NOTFOUND=return] ldap", {}, true],
  ];
  for (const [services, more, isAsked] of table) {
    const database = databaseOf({}, { "/etc/nsswitch.conf": databases(services), ...more });
    assertEquals(await hostUser({ uid: 70000, gids: [70001] }, database), undefined);
    assertEquals(database.asked.length > 0, isAsked, services);
  }
});

Deno.test("a process whose group is not that of the user's entry keeps its own as the primary one", async () => {
  const user = await hostUser({ uid: 1000, gids: [44] }, databaseOf({}));
  assertEquals(user?.gid, 44);
  assertEquals(user?.groups.map(({ name }) => name), ["video"]);
});

Deno.test("a user without an entry is none, whatever a service says for him", async () => {
  for (
    const line of [
      "",
      "eve:*:70001:1::/:/bin/sh\n",
      "eve:*:x:1::/:/bin/sh\n",
      ":*:70000:1::/:/bin/sh\n",
      "eve:*:70000:1:\0:/:/bin/sh\n",
      "eve:*:70000::::\n",
    ]
  ) {
    const database = databaseOf({ "passwd 70000": line });
    assertEquals(await hostUser({ uid: 70000, gids: [1] }, database), undefined);
  }
});

Deno.test("a home or a shell that is no absolute path is replaced by one that is", async () => {
  const database = databaseOf({ "passwd 7": "eve:*:7:100::home:\n" });
  const user = await hostUser({ uid: 7, gids: [100] }, database);
  assertEquals([user?.home, user?.shell], ["/", "/bin/sh"]);
});

Deno.test("this process is one of a user and groups that NSS knows", async () => {
  const { stdout } = await new Deno.Command("getent", {
    args: ["passwd", String(Deno.uid())],
  }).output();
  const [name, , uid, , , home] = new TextDecoder().decode(stdout).trim().split(":");
  const user = await hostUser();
  assertEquals([user?.name, String(user?.uid), user?.home], [name, uid, home]);
  assertEquals(user?.gid, Deno.gid());
});
