/**
 * Makes a user known in a root folder and shows what came of it as JSON, for `user_test.ts`. It is run
 * in a mount namespace of its own.
 *
 * @module
 */

import { addHostUser } from "../../lib/runtime/add_host_user.ts";
import { Rootfs } from "../../lib/sys/rootfs.ts";

const [path = "", runtimePath = "", user = ""] = Deno.args;
const warnings: string[] = [];
using rootfs = new Rootfs(path);
addHostUser(rootfs, JSON.parse(user), runtimePath, (message) => warnings.push(message));
console.log(JSON.stringify({
  passwd: rootfs.readText("/etc/passwd"),
  group: rootfs.readText("/etc/group"),
  mounts: Deno.readTextFileSync("/proc/self/mountinfo").split("\n")
    .filter((line) => line.includes(` ${path}/`))
    .map((line) => line.split(" ").slice(4, 6)),
  warnings,
}));
