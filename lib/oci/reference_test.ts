import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { formatReference, parseReference, withoutPassword } from "./reference.ts";

const digest = `sha256:${"ab".repeat(32)}`;

const good: [text: string, full: string, user?: string][] = [
  ["ubuntu", "registry-1.docker.io/library/ubuntu:latest"],
  ["ubuntu:24.04", "registry-1.docker.io/library/ubuntu:24.04"],
  ["nvidia/cuda:12", "registry-1.docker.io/nvidia/cuda:12"],
  ["docker.io/ubuntu", "registry-1.docker.io/library/ubuntu:latest"],
  ["index.docker.io/a/b", "registry-1.docker.io/a/b:latest"],
  ["nvcr.io/nvidia/cuda:12", "nvcr.io/nvidia/cuda:12"],
  ["nvcr.io#nvidia/cuda:12", "nvcr.io/nvidia/cuda:12"],
  ["$oauthtoken@nvcr.io#nvidia/cuda:12", "nvcr.io/nvidia/cuda:12", "$oauthtoken"],
  ["me@localhost/x", "localhost/x:latest", "me"],
  ["localhost:5000/x:t", "localhost:5000/x:t"],
  ["127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c:latest"],
  ["[::1]:5000/a", "[::1]:5000/a:latest"],
  [`ubuntu@${digest}`, `registry-1.docker.io/library/ubuntu@${digest}`],
  [`u@h.example/a:t@${digest}`, `h.example/a:t@${digest}`, "u"],
  ["me@corp.com@h.example#team/img:1", "h.example/team/img:1", "me@corp.com"],
  ["me@corp.com@h.example:5000/img", "h.example:5000/img:latest", "me@corp.com"],
  ["me@corp.com@img:1", "registry-1.docker.io/library/img:1", "me@corp.com"],
  [`me@corp.com@img@${digest}`, `registry-1.docker.io/library/img@${digest}`, "me@corp.com"],
  [`me@img@${digest}`, `registry-1.docker.io/library/img@${digest}`, "me"],
  ["a__b/c--d/e.f_g", "registry-1.docker.io/a__b/c--d/e.f_g:latest"],
];
for (const [text, full, user] of good) {
  Deno.test(`reference '${text}' is ${full}`, () => {
    const reference = parseReference(text);
    assertEquals(formatReference(reference), full);
    assertEquals(reference.user, user);
  });
}

const bad: [text: string, why: string][] = [
  ["", "names no image"],
  ["host.example/", "names no image"],
  ["Ubuntu", "no repository name"],
  ["ubuntu:", "no tag"],
  ["ubuntu:a b", "no tag"],
  [`ubuntu:${"t".repeat(129)}`, "no tag"],
  ["ubuntu@sha256:12", "64 hex digits"],
  ["a//b", "no repository name"],
  ["../etc", "no registry host"],
  ["h.example/../x", "no repository name"],
  ["u:p@h.example/x", "${ENROOT_CONFIG_PATH}/.credentials"],
  ["h.example:5000/x@latest", "a user name without a password"],
  ["h.example/x@latest", "no user name"],
  ["@h.example/x", "no user name"],
  ["me@@h.example/x", "no user name"],
  ["me@corp.com@", "names no image"],
  ["h.example/img:1@sha512:abc", "only those of sha256"],
  [`img@blake3:${"ab".repeat(32)}`, "only those of sha256"],
  ["img@sha256:", "64 hex digits"],
  [`img@${digest}:1`, "64 hex digits"],
  ["h.example:port/x", "no registry host"],
  ["h.example/a#b", "no registry host"],
  ["-h.example/x", "no registry host"],
];
for (const [text, why] of bad) {
  Deno.test(`reference '${text.slice(0, 40)}' is refused: ${why}`, () => {
    assertThrows(() => parseReference(text), EnrootError, why);
  });
}

const secrets = [
  ...["u:secret@h.example/x", "u:secret@corp.com@h.example#x", "u:a@secret@h.example/x"],
  ...["u:a/secret@h.example/x", "u:a#secret@h.example/x", "u:secret@h.example:port/x"],
  ...["u:secret@h.example/x@sha512:abc", "u:secret@h.example/UPPER:1", "u:a@sha256:secret@h/x"],
];
for (const text of secrets) {
  Deno.test(`reference '${text}' is refused without its password`, () => {
    const { message } = assertThrows(() => parseReference(text), EnrootError);
    assert(!message.includes("secret"), message);
    assertStringIncludes(message, "'u:…@");
  });
}

Deno.test("what is no password is shown", () => {
  for (const [text] of good) assertEquals(withoutPassword(text), text);
});

Deno.test("the repository is kept as typed for file names", () => {
  assertEquals(parseReference("ubuntu").typedRepository, "ubuntu");
});
