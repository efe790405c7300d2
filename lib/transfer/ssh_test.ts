import { assertEquals } from "@std/assert";
import { parseContainerName } from "../storage/container_name.ts";
import { explain, remoteCommand, sshArgv } from "./ssh.ts";
import { parseZfsUri } from "./zfs_uri.ts";

const name = parseContainerName("a b'$(id)`;&é!");

Deno.test("nothing of a name can be read by the shell of the other end", () => {
  const words = [
    ...remoteCommand({ does: "send", name }),
    ...remoteCommand({ does: "receive", name, replace: true }),
  ];
  assertEquals(words.filter((word) => !/^[A-Za-z0-9._:-]+$/.test(word)), []);
});

Deno.test("a usual name stands there as it is", () => {
  const plain = parseContainerName("ubuntu-24.04_x");
  assertEquals(
    remoteCommand({ does: "send", name: plain }).join(" "),
    [
      "enroot export --zfs-send --protocol 2 -- ubuntu-24.04_x",
    ].join(),
  );
  assertEquals(
    remoteCommand({ does: "receive", name: plain, replace: false }).join(" "),
    [
      "enroot import --zfs-recv --protocol 2 -n ubuntu-24.04_x",
    ].join(),
  );
});

Deno.test("the host is no option of ssh, and follows the last of them", () => {
  const task = { does: "send", name: parseContainerName("c") } as const;
  const argv = sshArgv(parseZfsUri("zfs://me@node:2222/c"), task, 30);
  const end = argv.indexOf("--");
  assertEquals(argv.slice(end + 1, end + 3), ["me@node", "enroot"]);
  assertEquals(argv.slice(end - 2, end), ["-p", "2222"]);
  assertEquals(sshArgv(parseZfsUri("zfs://[::1]/c"), task, 30).includes("::1"), true);
});

const endings: readonly (readonly [number, string, string, string])[] = [
  [255, "Host key verification failed.\n", "ssh-failed", "Host key verification failed"],
  [255, "", "ssh-failed", "cannot reach node"],
  [127, "bash: line 1: enroot: command not found\n", "no-enroot", "there is no enroot"],
  [1, "[INFO] x\r\n[ERROR] no ZFS here\n", "remote-failed", "node: no ZFS here"],
  [1, "[ERROR] unknown option '--zfs-send'\nUsage: …\n", "remote-failed", "same version"],
  [1, "enroot: unrecognized option '--protocol'\n", "remote-failed", "same version"],
  [137, "", "remote-failed", "exit code 137"],
];
for (const [code, stderr, word, text] of endings) {
  Deno.test(`an end with ${code} and '${stderr.trim()}' is ${word}`, () => {
    const error = explain("node", code, stderr);
    assertEquals([error.code, error.message.includes(text)], [word, true], error.message);
  });
}
