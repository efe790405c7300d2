import { assert, assertEquals } from "@std/assert";
import { writeCompletion } from "../../packaging/completion.ts";
import type { Bed } from "../support/bed.ts";
import { Box } from "../support/box.ts";
import { Screen } from "../support/screen.ts";

/** What follows the text when Tab was pressed: all that is typed, up to where the next word goes. */
type Case = readonly [typed: string, completed: string];

/** What every shell completes in the same way. `PID` is that of the process in the container. */
const cases: readonly Case[] = [
  ["enroot sta", "enroot start "],
  ["enroot -q sta", "enroot -q start "],
  ["enroot help rem", "enroot help remove "],
  ["enroot create --fo", "enroot create --force "],
  ["enroot import --arch am", "enroot import --arch amd64 "],
  ["enroot import --arch=am", "enroot import --arch=amd64 "],
  ["enroot import -a am", "enroot import -a amd64 "],
  ["enroot import --format poi", "enroot import --format pointer "],
  ["enroot import dockerd", "enroot import dockerd://"],
  ["enroot import oci:lay", "enroot import oci:layout/"],
  ["enroot import oci-archive://sav", "enroot import oci-archive://saved.tar "],
  ["enroot cache ver", "enroot cache verify "],
  ["enroot cache prune --dr", "enroot cache prune --dry-run "],
  ["enroot start bo", "enroot start box "],
  ["enroot start --conf my", "enroot start --conf my.conf "],
  ["enroot start --conf=my", "enroot start --conf=my.conf "],
  ["enroot start --rw -e HOME bo", "enroot start --rw -e HOME box "],
  ["enroot start -e ONLY_TH", "enroot start -e ONLY_THIS_ONE "],
  // Options of the command inside are not ours.
  ["enroot start box ls --ro", "enroot start box ls --ro"],
  ["enroot remove box bo", "enroot remove box box "],
  ["enroot create app", "enroot create app.sqsh "],
  ["enroot create odd", "enroot create odd\\ name.sqsh "],
  ["enroot exec PID s", "enroot exec PID s"],
  ["enroot exec ", "enroot exec PID "],
  ["enroot list bo", "enroot list bo"],
];

Deno.test("bash completes commands, options, containers, files and processes", async () => {
  await using place = await makePlace();
  const argv = ["bash", "--norc", "--noprofile", "-i"];
  const { bed, folder, options } = place;
  await using screen = await Screen.start(bed, argv, [
    "set +o history; bind 'set enable-bracketed-paste off'; bind 'set bell-style none'",
    `. ${folder}/enroot.bash; PS1='>'`,
  ], options);
  await check(screen, place.pid, "");
  // Where the shell does not split at them, all of the word is replaced.
  await screen.enter("COMP_WORDBREAKS=${COMP_WORDBREAKS//[=:]}");
  await check(screen, place.pid, "without = and : as ends of words: ");
});

Deno.test("zsh completes commands, options, containers, files and processes", async () => {
  await using place = await makePlace();
  const { bed, folder, options } = place;
  await using screen = await Screen.start(bed, ["zsh", "-f", "-i"], [
    "setopt no_beep; unset HISTFILE zle_bracketed_paste",
    `fpath=(${folder} $fpath); autoload -U compinit; compinit -u -D`,
    "PS1='>'",
  ], options);
  await check(screen, place.pid, "");
});

Deno.test("fish completes commands, options, containers, files and processes", async () => {
  await using place = await makePlace();
  const { bed, folder, pid } = place;
  for (const [typed, completed] of cases) {
    const line = typed.replaceAll("PID", String(pid));
    const { code, stdout, stderr } = await bed.run(
      ["fish", "--no-config", "-c", `source ${folder}/enroot.fish; complete -C "$argv"`, line],
      place.options,
    );
    assertEquals([code, stderr], [0, ""], typed);
    const words = stdout.split("\n").map((each) => each.split("\t")[0]).filter((each) => each);
    const before = line.replace(/\S*$/, "");
    // Fish leaves quoting and the blank behind the word to whoever inserts it.
    const wanted = completed.replaceAll("PID", String(pid)).slice(before.length).trim()
      .replaceAll("\\", "");
    const expected = completed === typed ? [] : [wanted];
    assertEquals(words, expected, typed);
  }
});

async function check(screen: Screen, pid: number, how: string): Promise<void> {
  const at = (text: string): string => text.replaceAll("PID", String(pid));
  for (const [typed, completed] of cases) {
    assertEquals(await screen.complete(at(typed)), at(completed), `${how}${typed}`);
  }
}

/** A folder with what is completed, and a container with a process in it. */
async function makePlace(): Promise<
  AsyncDisposable & {
    readonly bed: Bed;
    readonly folder: string;
    readonly pid: number;
    readonly options: { readonly cwd: string; readonly env: Record<string, string> };
  }
> {
  await using stack = new AsyncDisposableStack();
  const box = stack.use(await Box.make("root"));
  const { bed } = box;
  const folder = `${bed.temp}/completion`;
  await writeCompletion(folder);
  const cwd = bed.work;
  await Deno.mkdir(`${cwd}/layout`);
  for (const name of ["app.sqsh", "odd name.sqsh", "saved.tar", "my.conf", "apple.txt"]) {
    await Deno.writeTextFile(`${cwd}/${name}`, "");
  }
  const child = bed.start(
    [bed.executable, "start", "box", "sh", "-c", "echo ready; read -r line"],
    {
      stdin: "piped",
    },
  );
  stack.defer(async () => {
    await child.stdin.close();
    await Promise.all([child.stdout.cancel(), child.stderr.cancel()]);
    await child.status;
  });
  const reader = child.stdout.getReader();
  const { done } = await reader.read();
  assert(!done, "the container runs");
  reader.releaseLock();
  const path = `${bed.executable.replace(/\/[^/]*$/, "")}:${bed.env["PATH"]}`;
  const kept = stack.move();
  return {
    ...{ bed, folder, pid: child.pid },
    options: { cwd, env: { PATH: path, ONLY_THIS_ONE: "1" } },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
