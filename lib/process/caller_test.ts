import { assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { parseCallerState, restoreEnvironment } from "./caller.ts";

const state = "1;1024;0;enroot;/usr/bin/enroot";

Deno.test("restoreEnvironment puts back what was hidden and takes out what was added", () => {
  assertEquals(
    restoreEnvironment({
      PATH: "/bin",
      HOME: "/cache/payload",
      DENO_DIR: "/cache/payload/cache",
      DENO_NO_UPDATE_CHECK: "1",
      DENO_TLS_CA_STORE: "system",
      ENROOT_CALLER_STATE: state,
      ENROOT_CALLER_PROGRAMS: "3:enroot;",
      ENROOT_CALLER_ENV_HOME: "/home/u",
      ENROOT_CALLER_ENV_DENO_DIR: "",
      ENROOT_CALLER_ENV_LD_PRELOAD: "a=b",
      ENROOT_DATA_PATH: "/data",
      ["__proto__"]: "x",
    }),
    {
      PATH: "/bin",
      HOME: "/home/u",
      DENO_DIR: "",
      LD_PRELOAD: "a=b",
      ENROOT_DATA_PATH: "/data",
      ["__proto__"]: "x",
    },
  );
});

Deno.test("restoreEnvironment leaves out what the caller did not have", () => {
  assertEquals(
    restoreEnvironment({ HOME: "/cache", DENO_DIR: "/x", ENROOT_CALLER_STATE: state }),
    {},
  );
});

Deno.test("restoreEnvironment without a launcher changes nothing", () => {
  const given = { HOME: "/root", DENO_DIR: "/x", NODE_OPTIONS: "--a" };
  const restored = restoreEnvironment(given);
  assertEquals(restored, given);
  assertThrows(() => Object.assign(restored, { HOME: "/" }), TypeError);
});

Deno.test("parseCallerState reads what the launcher writes", () => {
  assertEquals(parseCallerState("1;1024;1001;enroot;/opt/a;b=c\n/enroot"), {
    softNofile: 1024,
    ignoredSignals: new Set([1, 13]),
    invokedAs: "enroot",
    executable: "/opt/a;b=c\n/enroot",
    programs: new Map(),
  });
  assertEquals(
    parseCallerState("1;18446744073709551615;8000000000000000;;/e", "3:enroot;12:libexec/x;"),
    {
      ignoredSignals: new Set([64]),
      invokedAs: "enroot",
      executable: "/e",
      programs: new Map([["enroot", 3], ["libexec/x", 12]]),
    },
  );
});

Deno.test("parseCallerState without a launcher knows nothing, and claims nothing", () => {
  assertEquals(parseCallerState(undefined), {
    ignoredSignals: new Set<number>(),
    invokedAs: "enroot",
    programs: new Map<string, number>(),
  });
});

Deno.test("parseCallerState refuses what the launcher does not write", () => {
  for (
    const [text, programs] of [
      [""],
      ["2;1024;0;enroot;/e"],
      ["1;1024;0;enroot"],
      ["1;1024;0;enroot;"],
      ["1;1024;0;enroot;e"],
      ["1;-1;0;enroot;/e"],
      ["1;;0;enroot;/e"],
      ["1;1024;;enroot;/e"],
      ["1;1024;0x1;enroot;/e"],
      ["1;1024;00000000000000000;enroot;/e"],
      ["1;1024;0;bin/enroot;/e"],
      [state, "3"],
      [state, "3:"],
      [state, "3:;"],
      [state, ":enroot;"],
      [state, "-3:enroot;"],
      [state, "3:enroot"],
      [state, "3:enroot;x"],
    ] as const
  ) {
    const error = assertThrows(() => parseCallerState(text, programs), EnrootError, "unset them");
    assertEquals(error.code, "bad-caller-state", text);
  }
});
