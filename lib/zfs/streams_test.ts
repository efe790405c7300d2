import { assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { parseDatasetName, snapshotOf } from "./dataset.ts";
import { parseEstimate, parseResumeToken, receiveArgv, sendArgv } from "./streams.ts";

const a = snapshotOf(parseDatasetName("tank/a"), "s");
const t = snapshotOf(parseDatasetName("tank/t"), "pristine");
const token = "1-f5b9a4b5a-e8-789c636064000310a500c4ec50360710e72765a5269740d80";

Deno.test("the commands that send", () => {
  assertEquals(sendArgv({ snapshot: a }).join(" "), "zfs send -L -e -c tank/a@s");
  assertEquals(
    sendArgv({ snapshot: a, from: t }).join(" "),
    "zfs send -L -e -c -i tank/t@pristine tank/a@s",
  );
  assertEquals(
    sendArgv({ snapshot: a, withProperties: true }).join(" "),
    "zfs send -L -e -c -p tank/a@s",
  );
  assertEquals(sendArgv({ token: parseResumeToken(token) }), ["zfs", "send", "-t", token]);
});

Deno.test("what is received is never mounted, and brings root no mount point", () => {
  const argv = receiveArgv({
    target: a,
    origin: t,
    properties: { "enroot:x": "y z" },
    isResumable: true,
    isRoot: true,
  });
  assertEquals(argv, [
    ...["zfs", "receive", "-u", "-s", "-o", "canmount=noauto", "-o", "enroot:x=y z"],
    ...["-o", "origin=tank/t@pristine", "-x", "mountpoint", "tank/a@s"],
  ]);
  assertEquals(
    receiveArgv({ target: a, isResumable: false, isRoot: false }).join(" "),
    "zfs receive -u -o canmount=noauto tank/a@s",
  );
});

Deno.test("a token is no option and no other text", () => {
  for (
    const text of ["", "-", "-x", "1-2-3", "2-a-b-cc", `${token} -R`, `${token}\n`, "1-g-1-aa"]
  ) {
    assertThrows(() => parseResumeToken(text), EnrootError, "no token");
  }
});

Deno.test("what `zfs send -n -v -P` says is read, with and without a token", () => {
  const incremental = "incremental\ttank/t@pristine\ttank/a@s\t7792\nsize\t7792\n";
  assertEquals(parseEstimate(incremental), { size: 7792, snapshot: undefined });
  const resumed = [
    ...["resume token contents:", "nvlist version: 0", "\tobject = 0x2", "\toffset = 0x760000"],
    ...["\tbytes = 0x785320", "\ttoguid = 0x2a9a96a9c26a9aa8", "\ttoname = tank/t/a b@pristine"],
    ...["\tembedok = 1", "full\ttank/t/a b@pristine\t12163912", "size\t12163912", ""],
  ];
  assertEquals(parseEstimate(resumed.join("\n")), {
    size: 12163912,
    snapshot: "tank/t/a b@pristine",
  });
  assertEquals(parseEstimate(""), { size: 0, snapshot: undefined });
});
