/**
 * Completion for shells: `deno run -A packaging/completion.ts [FOLDER]` writes it to `dist/completion`.
 *
 * The files are `enroot.bash`, `_enroot` for zsh, and `enroot.fish`.
 *
 * @module
 */

import { bashCompletion } from "./completion_bash.ts";
import { fishCompletion } from "./completion_fish.ts";
import { describeCompletion } from "./completion_model.ts";
import { zshCompletion } from "./completion_zsh.ts";

const top = new URL("../", import.meta.url).pathname.replace(/\/$/, "");

/** The completion scripts by the names of their files. @throws {Error} when a help cannot be read */
export async function completionFiles(): Promise<Readonly<Record<string, string>>> {
  const completion = await describeCompletion();
  return {
    "enroot.bash": bashCompletion(completion),
    "_enroot": zshCompletion(completion),
    "enroot.fish": fishCompletion(completion),
  };
}

/** Write the completion scripts. @param folder is made when it is not there */
export async function writeCompletion(folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(await completionFiles())) {
    await Deno.writeTextFile(`${folder}/${name}`, text);
  }
}

if (import.meta.main) {
  const folder = Deno.args[0] ?? `${top}/dist/completion`;
  await writeCompletion(folder);
  console.log(`Made ${folder}`);
}
