import { assert, assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../../errors.ts";
import { findEntry, parseNetrc } from "./netrc.ts";

type Row = [machine: string | undefined, login?: string, password?: string, isExpanded?: boolean];

const good: [what: string, text: string, rows: Row[]][] = [
  ["one line", "machine a.io login u password p", [["a.io", "u", "p", false]]],
  ["many lines", "machine A.IO:5000\n\tlogin u\n\tpassword p\n", [["a.io:5000", "u", "p", false]]],
  ["a user that looks like a variable", "machine nvcr.io login $oauthtoken password x", [
    ["nvcr.io", "$oauthtoken", "x", false],
  ]],
  ["a default", "default login u password p", [[undefined, "u", "p", false]]],
  ["account", "machine a login u account x password p", [["a", "u", "p", false]]],
  ["comments", "# machine x login y\nmachine a login u # c\npassword #p\n", [
    ["a", "u", "#p", false],
  ]],
  ["quotes", String.raw`machine a login "a b" password "q\"u\\o t"`, [
    ["a", "a b", String.raw`q"u\o t`, false],
  ]],
  ["backslashes", String.raw`machine a login u password a\ b\$`, [["a", "u", "a b$", false]]],
  ["a quote within a word", `machine a login u password a"b`, [["a", "u", 'a"b', false]]],
  ["a dollar that is none", String.raw`machine a login u password \$x machine b`, [
    ["a", "u", "$x", false],
    ["b"],
  ]],
  ["a dollar in quotes", `machine a login u password "$x"`, [["a", "u", "$x", false]]],
  ["a variable", "machine a login u password $TOKEN\nmachine b", [
    ["a", "u", "$TOKEN", true],
    ["b"],
  ]],
  ["a command", `machine a login u password $(aws get --region "x)" | tr -d '"')\nmachine b`, [
    ["a", "u", `$(aws get --region "x)" | tr -d '"')`, true],
    ["b"],
  ]],
  ["brackets within brackets", "machine a login u password $(a (b) ${c:-d e}) machine b", [
    ["a", "u", "$(a (b) ${c:-d e})", true],
    ["b"],
  ]],
  ["quotes behind a variable", `machine a login u password $A"b`, [["a", "u", `$A\\"b`, true]]],
  ["a macro", "macdef init\nmachine x login y password z\n\nmachine a login u password p", [
    ["a", "u", "p", false],
  ]],
  ["a macro without an end", "macdef init\nmachine x", []],
  ["Windows", "machine a login u password p\r\n", [["a", "u", "p", false]]],
  ["nothing", "", []],
];
for (const [what, text, rows] of good) {
  Deno.test(`netrc: ${what}`, () => {
    const expected = rows.map(([machine, ...rest]) => [machine, ...rest].filter((_, i) => i < 4));
    assertEquals(
      parseNetrc(text, "f").map(({ machine, login, password, isExpanded }) =>
        password === undefined ? [machine] : [machine, login, password, isExpanded]
      ),
      expected,
    );
  });
}

const bad: [what: string, text: string, message: string][] = [
  [
    "a word that is no keyword",
    "machine a\nlogin u password p s3cret",
    "f:2: 'machine', 'default',",
  ],
  ["a value before any machine", "\nlogin s3cret", "f:2: 'login' comes before any 'machine'"],
  ["no value", "machine a login u password", "f:1: 'password' has no value"],
  ["an open quote", 'machine a login u password "s3cret\n', "f:1: a quote is not closed"],
  ["an open bracket", "machine a login u password $(echo s3cret\n)", "f:1: a ')' is missing"],
];
for (const [what, text, message] of bad) {
  Deno.test(`netrc: ${what} is refused by file and line, without what stands there`, () => {
    const error = assertThrows(() => parseNetrc(text, "f"), EnrootError, message);
    assertEquals(error.code, "bad-credentials");
    assert(!error.message.includes("s3cret"));
  });
}

Deno.test("netrc: an entry is found by host in the order of hosts, then by default, for a user", () => {
  const entries = parseNetrc(
    `machine a login u1 password p1
     machine a login u2 password p2
     machine b login u3 password p3
     machine c login u4
     default login u5 password p5`,
    "f",
  );
  const find = (hosts: string[], user?: string, allowDefault = true): string | undefined =>
    findEntry(entries, hosts, { user, allowDefault })?.password;
  assertEquals(find(["a"]), "p1");
  assertEquals(find(["x", "b", "a"]), "p3");
  assertEquals(find(["a"], "u2"), "p2");
  assertEquals(find(["a"], "nobody"), undefined);
  assertEquals(find(["c"]), "p5", "without a password it is no entry");
  assertEquals(find(["x"], undefined, false), undefined);
});
