import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { permissions } from "../../lib/storage/zfs/delegation.ts";
import { makeBusyboxImage } from "../support/busybox_image.ts";
import { attempt, run } from "../support/command.ts";
import { pushImage } from "../support/oci_layout.ts";
import { startRegistry } from "../support/registry.ts";
import { startTokenServer } from "../support/token_server.ts";
import { type TestUser, UsersBed } from "../support/users_bed.ts";
import { writeSystemConfig, zfs } from "../support/zfs_bed.ts";

const root: TestUser = { uid: 0, gid: 0 };
const ann: TestUser = { uid: 12345, gid: 12345 };
const bob: TestUser = { uid: 12346, gid: 100 };
const users = [ann, bob];

/** What asks a registry passes through here, and is counted: the paths of all requests. */
function countRequests(
  port: number,
): AsyncDisposable & { readonly host: string; readonly requests: readonly string[] } {
  const requests: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { pathname, search } = new URL(request.url);
    requests.push(pathname);
    const { headers } = request;
    return fetch(`http://127.0.0.1:${port}${pathname}${search}`, { headers, redirect: "manual" });
  });
  return {
    host: `127.0.0.1:${server.addr.port}`,
    requests,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

Deno.test("users share the templates that root fills, and nothing else", async (t) => {
  await using stack = new AsyncDisposableStack();
  const open = stack.use(await startRegistry());
  const tokens = stack.use(await startTokenServer({ users: { ann: "secret" } }));
  const registry = stack.use(
    await startRegistry(undefined, { auth: tokens.auth, data: open.data }),
  );
  const proxy = stack.use(countRequests(registry.port));
  const bed = stack.use(await UsersBed.make());
  for (const { uid, gid } of users) await bed.makeHome(uid, gid);
  const layout = `${bed.root}/layout`;
  await makeBusyboxImage(layout, "public", { "etc/name": "public\n" });
  await pushImage(layout, "public", `127.0.0.1:${open.port}/public/app:1`);
  const other = `${bed.root}/other`;
  await makeBusyboxImage(other, "private", { "etc/name": "private\n" });
  await pushImage(other, "private", `127.0.0.1:${open.port}/private/app:1`);
  const uri = (name: string): string => `docker://${proxy.host}/${name}/app:1`;
  const netrc = `machine 127.0.0.1 login ann password secret\n`;

  await t.step("the prolog gives each user a store, once", async () => {
    const calls = [ann, bob, ann, bob].map((user) => bed.prolog(user));
    for (const { code, stderr } of await Promise.all(calls)) assertEquals([code, stderr], [0, ""]);
    for (const user of users) {
      const { uid, gid, mode } = await Deno.stat(bed.path(user));
      assertEquals([uid, gid, (mode ?? 0) & 0o777], [user.uid, user.gid, 0o700]);
      const wanted = "quota,filesystem_limit,setuid,devices,mounted";
      const found = await zfs("get", "-Hp", "-o", "value", wanted, bed.store(user));
      assertEquals(found.trim().split("\n"), [`${1 << 30}`, "40", "off", "off", "yes"]);
      const allowed = await zfs("allow", bed.store(user));
      const [, list = ""] = /user .* (\S+,\S+)/.exec(allowed) ?? [];
      assertEquals(list.split(",").sort(), [...permissions].sort());
    }
    for (const uid of ["", "-1", "1 2", "../1", "01", "a", "99999999999"]) {
      const { code, stderr } = await bed.prolog({ uid, gid: 100 });
      assertEquals(code, 1);
      assertMatch(stderr, /^enroot's prolog: SLURM_JOB_UID is no number: [^\n]*\n$/);
    }
    assertEquals((await bed.prolog({ uid: 0, gid: 0 })).code, 0);
    assertEquals([...(await bed.origins()).keys()].length, 3);
  });

  let id = "";
  await t.step("root fills the shared store; what anybody gets is known as such", async () => {
    await bed.succeed(root, ["prewarm", "-"], { input: uri("public") });
    const [name = ""] = (await zfs("list", "-H", "-o", "name", "-r", `${bed.templates}/.templates`))
      .trim().split("\n").slice(1);
    id = name.slice(name.lastIndexOf("/") + 1);
    assertMatch(id, /^[0-9a-f]{64}$/);
    const property = async (text: string): Promise<string> =>
      (await zfs("get", "-Hp", "-o", "value", text, name)).trim();
    assertEquals(await property("enroot:public,readonly,mounted"), "y\non\nno");
    await bed.logIn(root, netrc);
    await zfs("set", "enroot:last_used=1000000000", name);
    const { stdout } = await bed.succeed(root, ["prewarm", "-"], {
      input: `${uri("private")}\n${uri("public")}\n`,
      env: { ENROOT_ZFS_LAYER_CHAIN: "y" },
    });
    assertEquals(stdout.match(/^ok /gm)?.length, 2);
    assert(Number(await property("enroot:last_used")) > 1_700_000_000, "what is prewarmed stays");
    // Now it was asked for with credentials.
    assertEquals(await property("enroot:public"), "n");
    await zfs("set", "enroot:public=y", name);
  });
  const shared = `templates/.templates/${id}@pristine`;
  /** Requests for layers: the config of an image is a blob, too. */
  const fetched = (): number =>
    proxy.requests.filter((path) => path.includes("/blobs/") && !path.endsWith(id)).length;

  await t.step("users clone them, and fetch and fill nothing", async () => {
    const before = fetched();
    for (const user of users) {
      await bed.succeed(user, ["import", "-o", "app.sqsh", uri("public")]);
      await bed.succeed(user, ["create", "-n", "box", "app.sqsh"]);
      const script = "cat /etc/name; echo mine > /etc/name; id -u; umask 077; echo x > /root/new";
      const { stdout } = await bed.succeed(user, ["start", "--rw", "box", "sh", "-c", script]);
      assertEquals(stdout, `public\n${user.uid}\n`);
      const asRoot = await bed.succeed(user, [
        "start",
        "--root",
        "box",
        "sh",
        "-c",
        "id -u; ls -l /root",
      ]);
      assertMatch(asRoot.stdout, /^0\n.* root .* new\n$/s);
      const { uid, gid } = await Deno.stat(`${bed.path(user)}/box/root/new`);
      assertEquals([uid, gid], [user.uid, user.gid]);
    }
    assertEquals(fetched(), before);
    const origins = await bed.origins();
    for (const { uid } of users) {
      assertEquals(origins.get(`users/${uid}/box`), shared);
      assertEquals(origins.has(`users/${uid}/.templates`), false);
    }
    const table = await Deno.readTextFile("/proc/self/mountinfo");
    for (const line of table.split("\n").filter((each) => each.includes(`${bed.stores}/`))) {
      assertMatch(line, / nosuid,nodev| \S*nosuid\S* /);
    }
  });

  await t.step("what they use now counts as used, though they cannot note it", async () => {
    const name = `${bed.templates}/.templates/${id}`;
    await zfs("set", "enroot:last_used=1000000000", name);
    const mount = await zfs("get", "-H", "-o", "value", "mountpoint", bed.templates);
    await Deno.utime(`${mount.trim()}/.locks/swept`, 0, 0);
    await bed.succeed(root, ["prewarm", "-"], { input: uri("private") });
    const used = await zfs("get", "-Hp", "-o", "value", "enroot:last_used", name);
    assert(Number(used) > 1_700_000_000, used);
  });

  await t.step("they see nothing of each other", async () => {
    const refused = async (...argv: string[]): Promise<string> => {
      const { code, stderr } = await bed.run(bob, argv);
      assert(code !== 0, argv.join(" "));
      return stderr;
    };
    const box = `${bed.store(ann)}/box`;
    const read = await refused("cat", `${bed.path(ann)}/box/root/new`);
    assertStringIncludes(read, "Permission denied");
    for (const name of [bed.store(ann), box]) {
      assertStringIncludes(await refused(bed.helper, name), "is neither your store");
      assertStringIncludes(await refused(bed.helper, "--unmount", name), "is neither your store");
    }
    await zfs("snapshot", `${box}@backup`);
    const stolen = `${bed.store(bob)}/stolen`;
    for (
      const args of [
        ["snapshot", `${box}@x`],
        ["clone", "-o", "canmount=noauto", `${box}@backup`, stolen],
        ["send", `${box}@backup`],
        ["rename", "-u", box, stolen],
      ]
    ) {
      assertMatch(await refused("/usr/sbin/zfs", ...args), /permission denied/i);
    }
    await zfs("destroy", `${box}@backup`);
  });

  await t.step("a private image is for who gets it", async () => {
    await bed.logIn(ann, netrc);
    await bed.succeed(ann, ["import", "-o", "private.sqsh", uri("private")]);
    await bed.succeed(ann, ["create", "private.sqsh"]);
    assertEquals(
      (await bed.succeed(ann, ["start", "private", "cat", "/etc/name"])).stdout,
      "private\n",
    );
    await Deno.copyFile(`${bed.home(ann.uid)}/private.sqsh`, `${bed.home(bob.uid)}/private.sqsh`);
    for (const args of [["create", "private.sqsh"], ["start", "private.sqsh", "true"]]) {
      const { code, stderr } = await bed.enroot(bob, args);
      assertEquals(code, 1);
      const errors = stderr.split("\n").filter((line) => line.startsWith("[ERROR]"));
      assertEquals(errors.length, 1);
      assertMatch(
        errors[0] ?? "",
        /private\/app.*access is denied: log in, or check the credentials/,
      );
    }
    const { code } = await bed.enroot(bob, ["import", "-o", "p.sqsh", uri("private")]);
    assertEquals(code, 1);
    assertEquals((await bed.succeed(bob, ["list"])).stdout, "box\n");
    await bed.logIn(bob, netrc);
    await bed.succeed(bob, ["create", "private.sqsh"]);
    assertEquals(
      [...(await bed.origins()).keys()].filter((name) => name.includes("/.templates")),
      [],
    );
    await bed.succeed(bob, ["remove", "-f", "private"]);
    await Deno.remove(`${bed.home(bob.uid)}/.config/enroot/.credentials`);
  });

  await t.step("what anybody gets is handed on without a question", async () => {
    await Deno.remove(`${bed.path(bob)}/.handed`, { recursive: true });
    const asked = proxy.requests.length;
    await bed.succeed(bob, ["create", "-n", "second", "app.sqsh"]);
    const { stdout } = await bed.succeed(bob, ["start", "app.sqsh", "cat", "/etc/name"]);
    assertEquals([stdout, proxy.requests.length], ["public\n", asked]);
    assertEquals((await bed.origins()).get(`users/${bob.uid}/second`), shared);
    assertEquals(
      await Deno.stat(`${bed.path(bob)}/.handed/${id}`).then(({ isFile }) => isFile),
      true,
    );
    await bed.succeed(bob, ["create", "-f", "-n", "second", "app.sqsh"]);
    await bed.succeed(bob, ["remove", "-f", "second"]);
    assertEquals((await bed.succeed(bob, ["list"])).stdout, "box\n");
  });

  await t.step("a clone of what was handed costs one `zfs`", async () => {
    const log = `${bed.root}/trace`;
    // By root, so that the helper keeps its capability.
    const user = ["setpriv", `--reuid=${bob.uid}`, `--regid=${bob.gid}`, "--clear-groups"];
    const argv = ["create", "-n", "second", `${bed.home(bob.uid)}/app.sqsh`];
    const { code, stderr } = await attempt(
      ["strace", "-f", "-qq", "-e", "trace=execve", "-o", log, ...user, bed.program, ...argv],
      { cwd: "/", clearEnv: true, env: bed.environment(bob) },
    );
    assertEquals(code, 0, stderr);
    const lines = (await Deno.readTextFile(log)).split("\n");
    assertEquals(
      lines.filter((line) => /execve\("[^"]*\/zfs", .*(?: = 0| <unfinished \.\.\.>)$/.test(line))
        .length,
      1,
    );
    await bed.succeed(bob, ["remove", "-f", "second"]);
  });

  await t.step("such containers are exported, received, listed", async () => {
    await bed.succeed(ann, ["export", "-o", "box.sqsh", "box"]);
    const names = await run(["unsquashfs", "-cat", `${bed.home(ann.uid)}/box.sqsh`, "root/new"]);
    assertEquals(names, "x\n");
    await bed.succeed(ann, ["export", "--format=zfs", "-o", "box.zfs", "box"]);
    await bed.succeed(ann, ["export", "--format=zfs", "-o", "again.zfs", "box"]);
    await bed.succeed(ann, ["create", "-n", "copy", "box.zfs"]);
    const script = "cat /etc/name; echo y > /root/new && cat /root/new";
    const { stdout } = await bed.succeed(ann, ["start", "--rw", "copy", "sh", "-c", script]);
    assertEquals(stdout, "mine\ny\n");
    assertEquals((await bed.succeed(ann, ["list"])).stdout, "box\ncopy\nprivate\n");
    assertStringIncludes((await bed.succeed(ann, ["cache", "list"])).stdout, "template");
    await bed.succeed(ann, ["remove", "-f", "copy"]);
  });

  await t.step("after a reboot, and after root has had a look", async () => {
    const path = `${bed.path(ann)}/box`;
    await run(["umount", path]);
    assertEquals((await bed.succeed(ann, ["start", "box", "cat", "/root/new"])).stdout, "x\n");
    await run(["umount", path]);
    const env = { ENROOT_DATA_PATH: bed.path(ann) };
    await bed.succeed(root, ["export", "-f", "-o", `${bed.root}/by-root.sqsh`, "box"], { env });
    assertEquals((await Deno.stat(path)).uid, 0);
    const { stdout } = await bed.succeed(ann, [
      "start",
      "--rw",
      "box",
      "sh",
      "-c",
      "echo > /root/f; cat /root/new",
    ]);
    assertEquals([stdout, (await Deno.stat(path)).uid], ["x\n", ann.uid]);
  });

  await t.step(
    "the helper shows as a user's nothing but clones of templates, where it is told to",
    async () => {
      const secret = `${bed.store(ann)}/secret`;
      await zfs("create", "-u", "-o", "canmount=noauto", secret);
      await run(["install", "-d", "-o", `${ann.uid}`, `${bed.path(ann)}/secret`]);
      const rule = "belongs to uid 0: only a dataset whose root folder is your own";
      const refuse = async (...args: string[]): Promise<void> => {
        const { code, stderr } = await bed.run(ann, [bed.helper, ...args]);
        assertEquals(code, 1);
        assertStringIncludes(stderr, rule);
      };
      await refuse(secret);
      await run(["mount", "-t", "zfs", "-o", "zfsutil", secret, `${bed.path(ann)}/secret`]);
      await run(["setfattr", "-n", "user.enroot.template", "-v", id, `${bed.path(ann)}/secret`]);
      await run(["umount", `${bed.path(ann)}/secret`]);
      await refuse(secret);
      await zfs("destroy", secret);
      const box = `${bed.store(ann)}/box`;
      assertEquals((await bed.run(ann, [bed.helper, "--unmount", box])).code, 0);
      const without = bed.configuration.replace(/ENROOT_TEMPLATE_STORE .*/, "");
      {
        await using _changed = await writeSystemConfig(without);
        await refuse(box);
        // A stream of one is refused in the same way by a host that has no such store.
        const received = await bed.enroot(ann, ["create", "-n", "there", "again.zfs"]);
        assertEquals(received.code, 1);
        const errors = received.stderr.match(/^\[ERROR\] .*/gm) ?? [];
        assertEquals(errors.length, 1, received.stderr);
        assertStringIncludes(errors[0] ?? "", "the files in this stream belong to another user");
        const left = [...(await bed.origins()).keys()].filter((name) =>
          /\.tmp|\.receiving\//.test(name)
        );
        assertEquals(left, []);
      }
      {
        await using _off = await writeSystemConfig(
          `${bed.configuration}ENROOT_TEMPLATE_STORE no\n`,
        );
        await refuse(box);
      }
      assertEquals((await bed.succeed(ann, ["list"])).stdout, "box\nprivate\n");
      assertEquals((await bed.succeed(ann, ["start", "box", "cat", "/root/new"])).stdout, "x\n");
      // Nobody but root sets the mark, and there is no way to it through the mount.
      const setting = [
        "setfattr",
        "-n",
        "trusted.enroot.template",
        "-v",
        "x",
        `${bed.path(ann)}/box/etc`,
      ];
      assertEquals((await bed.run(ann, setting)).code, 1);
    },
  );

  await t.step(
    "clones in users' stores keep templates; what is gone is filled by the user",
    async () => {
      const { stdout } = await bed.succeed(root, ["cache", "list"]);
      assertEquals(stdout.match(/^template .* live /gm)?.length, 2, stdout);
      const { stderr } = await bed.succeed(root, ["cache", "prune", "--all"]);
      assertEquals(stderr.includes("template"), false, stderr);
      for (const user of users) {
        await bed.succeed(user, ["remove", "-f", "box"]);
        assertEquals((await bed.origins()).has(`users/${user.uid}/box`), false);
      }
      await bed.succeed(root, ["cache", "prune", "--all"]);
      const before = fetched();
      await bed.succeed(ann, ["create", "-n", "box", "app.sqsh"]);
      assertEquals(
        (await bed.origins()).get(`users/${ann.uid}/box`),
        `users/${ann.uid}/.templates/${id}@pristine`,
      );
      assert(fetched() > before);
      assertEquals(
        (await bed.succeed(ann, ["start", "box", "cat", "/etc/name"])).stdout,
        "public\n",
      );
    },
  );

  await t.step("without idmapped mounts a user's own template is filled", async () => {
    await bed.succeed(root, ["prewarm", "-"], { input: uri("public") });
    await bed.succeed(bob, ["import", "-o", "again.sqsh", uri("public")]);
    await Deno.rename(bed.helper, `${bed.helper}.real`);
    const once = `${bed.home(bob.uid)}/once`;
    await Deno.writeTextFile(
      bed.helper,
      `#!/bin/sh\ncase $1 in */box) [ -e ${once} ] || { touch ${once}; echo 'no idmapped mounts' >&2; exit 3; } ;; esac\n` +
        'exec "$0.real" "$@"\n',
      { mode: 0o755 },
    );
    const { stderr } = await bed.succeed(bob, ["create", "-n", "box", "again.sqsh"]);
    assertEquals(
      stderr.match(/^\[WARN\] no idmapped mounts: the templates of .* are not used/gm)?.length,
      1,
      stderr,
    );
    assertEquals(
      (await bed.origins()).get(`users/${bob.uid}/box`),
      `users/${bob.uid}/.templates/${id}@pristine`,
    );
  });
});
