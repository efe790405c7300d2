import { assertEquals, assertMatch } from "@std/assert";
import { remappedRoot } from "../../lib/runtime/add_host_user.ts";
import type { HostUser } from "../../lib/runtime/host_user.ts";
import { run } from "../support/command.ts";

const script = new URL("add_host_user_main.ts", import.meta.url).pathname;
const config = new URL("../../deno.json", import.meta.url).pathname;

const ada: HostUser = {
  name: "ada",
  uid: 1000,
  gid: 1000,
  gecos: "Ada",
  home: "/home/ada",
  shell: "/bin/zsh",
  groups: [{ name: "ada", gid: 1000 }],
};
const passwdLine = "ada:x:1000:1000:Ada:/home/ada:/bin/sh\n";

interface Outcome {
  readonly passwd: string;
  readonly group: string;
  readonly mounts: readonly (readonly string[])[];
  readonly warnings: readonly string[];
}

/** A root folder and what is outside of it. */
class Place implements AsyncDisposable {
  readonly path = Deno.makeTempDirSync({ prefix: "zenroot-user-" });

  constructor() {
    for (const name of ["root/etc", "run", "outside"]) {
      Deno.mkdirSync(`${this.path}/${name}`, { recursive: true });
    }
  }

  write(path: string, text: string): void {
    Deno.writeTextFileSync(`${this.path}/${path}`, text);
  }

  async add(user: HostUser): Promise<Outcome> {
    const text = await run([
      ...["unshare", "--map-root-user", "--mount", Deno.execPath(), "run", "-A", "--no-check"],
      ...["--config", config, script, `${this.path}/root`, `${this.path}/run`],
      JSON.stringify(user),
    ]);
    return JSON.parse(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

Deno.test("the user is in the container's passwd and group, which stay as they are on disk", async () => {
  await using place = new Place();
  place.write("root/etc/passwd", "bin:x:2:2::/:/bin/false\n");
  place.write("root/etc/group", "bin:x:2:\n");
  const { passwd, group, mounts, warnings } = await place.add(ada);
  assertEquals(passwd, `bin:x:2:2::/:/bin/false\n${passwdLine}`);
  assertEquals(group, "bin:x:2:\nada:x:1000:\n");
  assertEquals(warnings, []);
  assertEquals(mounts.map(([path]) => path?.replace(place.path, "")), [
    "/root/etc/passwd",
    "/root/etc/group",
  ]);
  for (const [, options] of mounts) assertMatch(options ?? "", /^ro,nosuid,nodev,noexec/);
  assertEquals(
    await Deno.readTextFile(`${place.path}/root/etc/passwd`),
    "bin:x:2:2::/:/bin/false\n",
  );
});

Deno.test("a container that knows the user gets no mount", async () => {
  await using place = new Place();
  place.write("root/etc/passwd", passwdLine);
  place.write("root/etc/group", "ada:x:1000:\n");
  assertEquals((await place.add(ada)).mounts, []);
  place.write("root/etc/passwd", "root:x:0:0:r:/root:/bin/sh\n");
  place.write("root/etc/group", "root:x:0:\n");
  const outcome = await place.add(remappedRoot);
  assertEquals(outcome.mounts, []);
});

Deno.test("his shell is taken when the container has it", async () => {
  for (const [shells, shell] of [["zsh bash", "zsh"], ["bash", "bash"], ["", "sh"]] as const) {
    await using place = new Place();
    await Deno.mkdir(`${place.path}/root/bin`);
    for (const name of shells.split(" ").filter((each) => each !== "")) {
      place.write(`root/bin/${name}`, "");
      await Deno.chmod(`${place.path}/root/bin/${name}`, 0o755);
    }
    assertMatch((await place.add(ada)).passwd, new RegExp(`:/bin/${shell}\n$`));
  }
});

Deno.test("his home is made with the skeleton, once, and is his alone", async () => {
  await using place = new Place();
  await Deno.mkdir(`${place.path}/root/etc/skel/.config`, { recursive: true });
  place.write("root/etc/skel/.profile", "profile");
  place.write("root/etc/skel/.config/settings", "settings");
  place.write("outside/secret", "secret");
  await Deno.symlink(`${place.path}/outside/secret`, `${place.path}/root/etc/skel/link`);
  await place.add(ada);
  const home = `${place.path}/root/home/ada`;
  assertEquals(await Deno.readTextFile(`${home}/.profile`), "profile");
  assertEquals(await Deno.readTextFile(`${home}/.config/settings`), "settings");
  assertEquals(((await Deno.stat(home)).mode ?? 0) & 0o777, 0o700);
  assertEquals([...Deno.readDirSync(home)].map(({ name }) => name).sort(), [".config", ".profile"]);
  await Deno.remove(`${home}/.profile`);
  await Deno.remove(`${place.path}/run`, { recursive: true });
  await Deno.mkdir(`${place.path}/run`);
  await place.add(ada);
  assertEquals([...Deno.readDirSync(home)].map(({ name }) => name), [".config"]);
});

Deno.test("links of the container lead nowhere outside of it", async () => {
  await using place = new Place();
  place.write("outside/passwd", "outside");
  for (
    const [target, link] of [
      [`${place.path}/outside/passwd`, "etc/passwd"],
      ["../../outside/group", "etc/group"],
      [`${place.path}/outside`, "home"],
      [`../outside`, "skel"],
    ] as const
  ) await Deno.symlink(target, `${place.path}/root/${link}`);
  const { passwd, warnings } = await place.add(ada);
  assertEquals([passwd, warnings], [passwdLine, []]);
  assertEquals([...Deno.readDirSync(`${place.path}/outside`)].map(({ name }) => name), ["passwd"]);
  assertEquals(await Deno.readTextFile(`${place.path}/outside/passwd`), "outside");
  // They lead to the same places inside.
  assertEquals(
    (await Deno.stat(`${place.path}/root${place.path}/outside/ada`)).isDirectory,
    true,
  );
});

Deno.test("what stands in the way is reported, and the rest is done", async () => {
  await using place = new Place();
  await Deno.mkdir(`${place.path}/root/etc/passwd`);
  await run(["mkfifo", `${place.path}/root/etc/group`]);
  place.write("root/home", "a file");
  const { group, warnings } = await place.add(ada);
  // A pipe is not read from, and a file takes its place.
  assertEquals(group, "ada:x:1000:\n");
  assertEquals(warnings.length, 2);
  assertMatch(warnings[0] ?? "", /^cannot make the entry in \/etc\/passwd of ada/);
  assertMatch(warnings[1] ?? "", /^cannot make the home \/home\/ada of ada/);
});
