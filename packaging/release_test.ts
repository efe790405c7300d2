import { assertEquals, assertThrows } from "@std/assert";
import { debianChangelog, describeRelease, parseChangelog, rpmChangelog } from "./release.ts";

const text = `# Changes

About this page.

## 5.1.0 - 2026-12-03

- One change, which is 100 % new.
- Another one that goes on and on, so that it takes a line of its own and then yet another one of
  them all.

## 5.0.0 - 2026-11-21

- The first.
`;

Deno.test("a changelog is versions with lists of changes", () => {
  assertEquals(parseChangelog(text), [
    {
      version: "5.1.0",
      date: "2026-12-03",
      changes: [
        "One change, which is 100 % new.",
        "Another one that goes on and on, so that it takes a line of its own and then yet another " +
        "one of them all.",
      ],
    },
    { version: "5.0.0", date: "2026-11-21", changes: ["The first."] },
  ]);
  for (const bad of ["", "# x\n", "## 5.1.0\n", "## 5.1.0 - 2026-12-03\nText\n"]) {
    assertThrows(() => parseChangelog(bad), Error, "docs/changelog.md");
  }
  assertThrows(() => parseChangelog("## 5.1.0 - 2026-12-03\n  Text\n"), Error, "'  Text'");
});

Deno.test("a release has the version that is described, and one time", () => {
  const { entries, ...release } = describeRelease("5.1.0", text, "1700000000");
  assertEquals(release, { version: "5.1.0", epoch: 1_700_000_000 });
  assertEquals(entries.length, 2);
  assertEquals(describeRelease("5.1.0", text, undefined).epoch, 1_796_256_000);
  assertThrows(() => describeRelease("5.2.0", text, undefined), Error, "deno.json says 5.2.0");
  for (const epoch of ["", "-1", "1e9", "today", "1.5"]) {
    assertThrows(() => describeRelease("5.1.0", text, epoch), Error, "SOURCE_DATE_EPOCH");
  }
});

Deno.test("packages have the changelog in their own forms", () => {
  const release = describeRelease("5.1.0", text, undefined);
  assertEquals(
    debianChangelog(release, "Some One <one@x.example>"),
    `enroot (5.1.0) stable; urgency=medium

  * One change, which is 100 % new.
  * Another one that goes on and on, so that it takes a line of its own and
    then yet another one of them all.

 -- Some One <one@x.example>  Thu, 03 Dec 2026 00:00:00 +0000

enroot (5.0.0) stable; urgency=medium

  * The first.

 -- Some One <one@x.example>  Sat, 21 Nov 2026 00:00:00 +0000
`,
  );
  assertEquals(
    rpmChangelog(release, "Some One <one@x.example>"),
    `* Thu Dec 03 2026 Some One <one@x.example> - 5.1.0-1
- One change, which is 100 %% new.
- Another one that goes on and on, so that it takes a line of its own and then
  yet another one of them all.

* Sat Nov 21 2026 Some One <one@x.example> - 5.0.0-1
- The first.
`,
  );
});
