import { assertEquals, assertThrows } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { formatReference, parseReference } from "./reference.ts";

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
  ["u:p@h.example/x", "no user name"],
  ["h.example:port/x", "no registry host"],
  ["h.example/a#b", "no registry host"],
  ["-h.example/x", "no registry host"],
];
for (const [text, why] of bad) {
  Deno.test(`reference '${text.slice(0, 40)}' is refused: ${why}`, () => {
    assertThrows(() => parseReference(text), EnrootError, why);
  });
}

Deno.test("the repository is kept as typed for file names", () => {
  assertEquals(parseReference("ubuntu").typedRepository, "ubuntu");
});
