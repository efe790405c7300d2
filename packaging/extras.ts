/**
 * What comes with the program below `/usr/share`: completion for shells, manual pages.
 *
 * @module
 */

import { completionFiles } from "./completion.ts";
import { manPages } from "./man_pages.ts";
import type { Extra } from "./stage.ts";

/** Where shells look for completion, by the names of its files. */
const completions: Readonly<Record<string, string>> = {
  "enroot.bash": "bash-completion/completions/enroot",
  "_enroot": "zsh/vendor-completions/_enroot",
  "enroot.fish": "fish/vendor_completions.d/enroot.fish",
};

/**
 * All of it.
 *
 * @param date in the pages' feet, `YYYY-MM-DD`
 * @throws {Error} when a page cannot be read, or there is completion for an unknown shell
 */
export async function makeExtras(date: string): Promise<Extra[]> {
  const pages = [...await manPages({ date })].map(([file, text]) => ({
    name: `man/man${file.slice(file.lastIndexOf(".") + 1)}/${file}`,
    text,
  }));
  const scripts = Object.entries(await completionFiles()).map(([file, text]) => {
    const name = completions[file];
    if (name === undefined) throw new Error(`no shell looks for ${file}`);
    return { name, text };
  });
  return [...pages, ...scripts];
}
