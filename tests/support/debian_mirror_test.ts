import { assertEquals } from "@std/assert";
import { mirrorOfLines, mirrorOfStanzas } from "./debian_mirror.ts";

Deno.test("the mirror of one-line sources is that of the suite asked for", () => {
  const text = `
# deb http://a.example/debian bookworm main
deb-src http://b.example/debian bookworm main
deb http://c.example/security bookworm-security main
deb [arch=amd64 signed-by=/x.gpg] https://d.example/debian  bookworm main contrib # ours
deb http://e.example/debian bookworm main
`;
  assertEquals(mirrorOfLines(text, "bookworm"), "https://d.example/debian");
  assertEquals(mirrorOfLines(text, "trixie"), undefined);
  assertEquals(mirrorOfLines("deb cdrom:[x]/ bookworm main", "bookworm"), undefined);
});

Deno.test("the mirror of deb822 sources is that of the suite asked for", () => {
  const text = `Types: deb
URIs: http://a.example/debian
Suites: bookworm
Components: main
Enabled: no

# a comment
Types: deb deb-src
# http://snapshot.example/
URIs: cdrom:x
 https://b.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /x.gpg

Types: deb
URIs: http://c.example/security
Suites: bookworm-security
Components: main
`;
  assertEquals(mirrorOfStanzas(text, "bookworm"), "https://b.example/debian");
  assertEquals(mirrorOfStanzas(text, "bookworm-security"), "http://c.example/security");
  assertEquals(mirrorOfStanzas(text, "trixie"), undefined);
});
