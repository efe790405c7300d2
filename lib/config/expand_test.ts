import { assert, assertEquals, assertRejects } from "@std/assert";
import { EnrootError } from "../errors.ts";
import type { Setting } from "./conf_file.ts";
import { expandSettings } from "./expand.ts";

const environment = {
  ...{
    PATH: "/usr/bin:/bin",
    USER: "me",
    HOME: "/home/me",
    EMPTY: "",
    ODD: "a $b `c` \\ \" ' ~ *",
    LC_ALL: "C",
  },
  // Nobody's environment decides these.
  ...{ UID: "12345", EUID: "12345" },
};
const uid = Deno.uid() ?? 0;

function setting(value: string, more: Partial<Setting> = {}): Setting {
  return { key: "ENROOT_TEMP_PATH", value, literal: false, place: "test:1", ...more };
}

/** What a value becomes, without the help of bash where it is not needed. */
async function expanded(values: readonly Setting[]): Promise<string[]> {
  return (await expandSettings(values, environment, uid)).map(({ value }) => value);
}

const values: [value: string, expected: string][] = [
  ["", ""],
  ["plain text", "plain text"],
  ["/x/${USER}/y", "/x/me/y"],
  ["/x/$USER/y", "/x/me/y"],
  ["/x/$USER-y.$USER", "/x/me-y.me"],
  ["/x/${UID}", `/x/${uid}`],
  ["/x/$EUID", `/x/${uid}`],
  ["${NONE:-}/x", "/x"],
  ["${NONE:-/tmp}/x", "/tmp/x"],
  ["${EMPTY:-/tmp}/x", "/tmp/x"],
  ["${USER:-other}", "me"],
  ["${NONE:-}", ""],
  ["${NONE:-a:-b =c}", "a:-b =c"],
  ["${ODD}", environment.ODD],
  ["~/x *", "/home/me/x *"],
  ["~", "/home/me"],
  ["~other/x", "~other/x"],
  ["/x/~/y", "/x/~/y"],
  ["${XDG_DATA_HOME}/x", "/home/me/.local/share/x"],
  ["$XDG_CACHE_HOME/x", "/home/me/.cache/x"],
  ["it's", "it's"],
  ["${ENROOT_TEMP_PATH}+", "it's+"],
];

Deno.test("plain variables are expanded as bash expands them", async () => {
  const settings = values.map(([value]) => setting(value));
  const expected = values.map(([, value]) => value);
  assertEquals(await expanded(settings), expected);
  // One value that only bash can expand makes it expand them all.
  assertEquals(await expanded([...settings, setting("$(echo bash)")]), [...expected, "bash"]);
});

const byBash: [value: string, expected: string][] = [
  ["/x/$(echo a b)", "/x/a b"],
  ["/x/`echo c`", "/x/c"],
  ["$(printf 'a\\nb')", "a\nb"],
  ['$(printf %s "${USER}")', "me"],
  ["$(id -u)", `${uid}`],
  ["${USER^^}", "ME"],
  ["${NONE:-${USER}}", "me"],
  ["${NONE-unset}", "unset"],
  ["\\${USER}", "${USER}"],
  ["${MACHTYPE:+known}", "known"],
];
for (const [value, expected] of byBash) {
  Deno.test(`bash makes ${value} into ${JSON.stringify(expected)}`, async () => {
    assertEquals(await expanded([setting(value)]), [expected]);
  });
}

Deno.test("only a path may begin with ~, and only a path may have no hole", async () => {
  const other = ["~/x", "${NONE}/x", "a $EMPTY b"];
  const settings = other.map((value) => setting(value, { key: "ENROOT_SQUASH_OPTIONS" }));
  assertEquals(await expanded(settings), ["~/x", "/x", "a  b"]);
  assertEquals((await expanded([...settings, setting("$(true)")])).slice(0, 3), [
    ...["~/x", "/x", "a  b"],
  ]);
});

const holes: [value: string, name: string][] = [
  ["/raid/$NONE", "NONE"],
  ["/raid/${EMPTY}/x", "EMPTY"],
  ["/raid/${USER}/$NONE", "NONE"],
  ["${ENROOT_CACHE_PATH}/x", "ENROOT_CACHE_PATH"],
  ["/raid/${NONE%x}", "NONE"],
  ["/raid/$(id -u)/${NONE}", "NONE"],
  ["/raid/`id -u`$NONE", "NONE"],
];
for (const [value, name] of holes) {
  Deno.test(`the path ${value} is refused, with ${name} and its place named`, async () => {
    const path = setting(value, { place: "/e/enroot.conf:7" });
    for (const settings of [[path], [setting("$(echo /x)"), path]]) {
      const error = await assertRejects(() => expanded(settings), EnrootError);
      assertEquals(error.code, "bad-config-value");
      const begin = `/e/enroot.conf:7: ENROOT_TEMP_PATH: '${value}' has no effect: ${name} is `;
      assert(error.message.startsWith(begin), error.message);
      assert(error.message.includes(`write \${${name}:-VALUE}`), error.message);
      const said: string[] = [];
      const warn = (message: string): void => void said.push(message);
      const all = await expandSettings(settings, environment, uid, warn);
      assertEquals([all.at(-1)?.value, said], ["", [error.message]]);
    }
  });
}

const whole: [value: string, expected: string][] = [
  ["$NONE", ""],
  ["${EMPTY}${NONE}", ""],
  ["/x/${NONE+set}", "/x/"],
  ["/x/${NONE:-${USER}}", "/x/me"],
  ["/x/${USER:+${NONE}y}", "/x/y"],
  ['/x/$([ -n "$NONE" ] && echo $NONE || echo y)', "/x/y"],
  ["/x/$(case $NONE in '') echo y;; *) echo $NONE;; esac)", "/x/y"],
  ["/x/\\$NONE", "/x/$NONE"],
  ["/x/$HOSTNAME$(true)", `/x/${Deno.hostname()}`],
];
for (const [value, expected] of whole) {
  Deno.test(`the path ${value} has no hole`, async () => {
    assertEquals(await expanded([setting(value)]), [expected]);
  });
}

Deno.test("what bash sets by itself is there, though no environment has it", async () => {
  for (const name of ["HOSTNAME", "OSTYPE", "PPID"]) {
    const [value = ""] = await expanded([setting(`\${${name}}`)]);
    assert(value !== "", name);
  }
});

Deno.test("a literal value is left alone, with bash and without", async () => {
  const odd = setting("$USER ${USER} `x` \\ \" ' $(false)", { literal: true });
  assertEquals(await expanded([odd]), [odd.value]);
  assertEquals(await expanded([odd, setting("$(true)")]), [odd.value, ""]);
});

Deno.test("start-up files and functions of the caller's bash do not meddle", async () => {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, "echo a banner\n");
    const meddling = { ...environment, BASH_ENV: file, "BASH_FUNC_printf%%": "() { echo other; }" };
    const [first] = await expandSettings([setting("$(echo a)")], meddling, uid);
    assertEquals(first?.value, "a");
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("a value that cannot be expanded is named with its place and the reason", async () => {
  const table: [value: string, reason: RegExp][] = [
    ["$(exit 3)", /exit code 3/],
    ["$(echo why >&2; false)", /: why$/],
    ["$(", /end of file|EOF|unexpected/],
    ["${x y}", /bad substitution/],
    ["$(nonexistent-program-x)", /nonexistent-program-x: command not found/],
  ];
  for (const [value, reason] of table) {
    const settings = [setting("$(echo fine)"), setting(value, { place: "/e/enroot.conf:7" })];
    const error = await assertRejects(() => expanded(settings), EnrootError);
    assertEquals(error.code, "bad-config-value");
    assert(error.message.startsWith(`/e/enroot.conf:7: ENROOT_TEMP_PATH: '${value}' cannot be`));
    assert(reason.test(error.message), error.message);
    assert(!error.message.includes("\n"));
  }
});

Deno.test("a value that cannot be expanded shows no credentials", async () => {
  const proxy = setting('http://me:secret"word@proxy', { key: "https_proxy" });
  const error = await assertRejects(() => expanded([proxy]), EnrootError, "http://***@proxy");
  assert(!/secret|word/.test(error.message), error.message);
});
