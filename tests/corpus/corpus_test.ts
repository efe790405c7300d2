import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Entry } from "../support/tree.ts";
import { type Case, time } from "./corpus.ts";
import { compare, Place, withUmoci, withUs } from "./engines.ts";
import { compression } from "./compression.ts";
import { ends } from "./ends.ts";
import { links } from "./links.ts";
import { names } from "./names.ts";
import { numbers } from "./numbers.ts";
import { paxHeaders } from "./pax.ts";
import { sparse } from "./sparse.ts";
import { whiteouts } from "./whiteouts.ts";

const themes: Readonly<Record<string, readonly Case[]>> = {
  names,
  numbers,
  "pax headers": paxHeaders,
  sparse,
  links,
  whiteouts,
  ends,
  compression,
};

for (const [theme, cases] of Object.entries(themes)) {
  for (const each of cases) {
    Deno.test({
      name: `corpus, ${theme}: an archive that ${each.what} ${
        "refused" in each.gives ? "is refused" : "is read"
      }`,
      // Owners, device nodes and attributes of all kinds are root's to make.
      ignore: Deno.uid() !== 0,
      fn: () => check(each),
    });
  }
}

async function check(each: Case): Promise<void> {
  using place = new Place();
  const ours = await withUs(place, each.layers);
  const got = "tree" in ours ? linesOf(ours.tree, `${place.top}/ours`) : ours.refused;
  if ("refused" in each.gives) {
    assert(typeof got === "string", `it is accepted: ${JSON.stringify(got)}`);
    assertStringIncludes(got, each.gives.refused);
    assert(!got.includes("\n"), got);
  } else assertEquals(got, [...each.gives]);
  const theirs = await withUmoci(place, each.layers);
  const differences = compare(ours, theirs);
  if (each.umoci === undefined) assertEquals(differences, [], "umoci does something else");
  else assert(differences.length > 0, "umoci does the same: the remark on it is not true");
}

/** A tree as the lines of the corpus. */
function linesOf(tree: readonly Entry[], root: string): string[] {
  return tree.filter(({ path, mode }) => path !== "." || mode !== "755").map((entry) => {
    const { path, type, mode, mtime = "", owner, size = 0, target, linkedTo, xattrs } = entry;
    const words = [type, ...(type === "l" ? [] : [mode]), printable(path)];
    if (linkedTo !== undefined) return [...words, "=", printable(linkedTo)].join(" ");
    if (target !== undefined) words.push("->", printable(target));
    if (type === "f" && size > 0) words.push(contentOf(root, path, size));
    const seconds = mtime.replace(/\.0*$/, "").replace(/(\..*?)0*$/, "$1");
    if (type !== "d" && seconds !== `${time}`) words.push(`@${seconds}`);
    if (owner !== undefined && owner !== "0:0") words.push(owner);
    if (xattrs !== undefined) words.push(printable(xattrs));
    return words.join(" ");
  });
}

/** A file's content as far as it is short and the file has a name that Deno can open, or its size. */
function contentOf(root: string, path: string, size: number): string {
  const name = utf8(path);
  if (size > 64 || name === undefined) return `<${size}>`;
  return printable(String.fromCharCode(...Deno.readFileSync(`${root}/${name}`)));
}

/** Bytes, one a character, as text; what is none, or cannot be seen, as `\xHH`. */
function printable(text: string): string {
  const escaped = (character: string): string =>
    `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  const isText = utf8(text) !== undefined;
  // deno-lint-ignore no-control-regex
  const shown = text.replaceAll(isText ? /[\x00-\x1f\x7f\\]/g : /[^\x20-\x5b\x5d-\x7e]/g, escaped);
  return utf8(shown) ?? shown;
}

function utf8(text: string): string | undefined {
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
