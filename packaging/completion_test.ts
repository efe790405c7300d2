import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { run } from "../tests/support/command.ts";
import { bashCompletion } from "./completion_bash.ts";
import { completionFiles, writeCompletion } from "./completion.ts";
import { fishCompletion } from "./completion_fish.ts";
import { completeCommand, type Completion, describeCompletion } from "./completion_model.ts";
import { zshCompletion } from "./completion_zsh.ts";

const completion = await describeCompletion();

/** A command whose texts hold what means something to a shell. */
const odd: Completion = {
  ...completion,
  commands: [completeCommand(
    "odd",
    'It\'s $(id) `id` "odd" [1]: a\\b',
    "odd [-x|--extra FILE] a|b\n\n  a  it's: $(id) \"a\\\n\n  -x, --extra FILE  it's [$(id)]: `id` \\\n",
  )],
};

Deno.test("what is completed is made of the commands' help", () => {
  const named = (name: string) => completion.commands.find((each) => each.name === name);
  assertEquals(named("cache")?.operands[0]?.wanted.words.map(({ word }) => word), [
    ...["list", "prune", "verify"],
  ]);
  assertEquals(named("create")?.operands, [
    { wanted: { kinds: ["image"], words: [] }, repeats: false },
  ]);
  assertEquals(named("start")?.operands[0]?.wanted.kinds, ["container", "image"]);
  assertEquals(named("remove")?.operands[0], {
    wanted: { kinds: ["container"], words: [] },
    repeats: true,
  });
  assertEquals(named("help")?.operands[0]?.wanted.kinds, ["command"]);
  assertEquals(
    completion.commands.filter(({ endsAtOperand }) => endsAtOperand).map(({ name }) => name),
    ["start", "exec", "batch"],
  );
  for (const scheme of ["docker://", "podman://", "oci:", "docker-archive:"]) {
    assert(named("load")?.schemes.includes(scheme), scheme);
  }
});

Deno.test("a value that completion knows nothing of is an error, not a gap", () => {
  assertThrows(
    () => completeCommand("x", "X", "x WIDGET\n\nX.\n"),
    Error,
    "does not know what WIDGET in the help of 'x' stands for",
  );
  assertThrows(
    () => completeCommand("x", "X", "x [--a WIDGET]\n\nX.\n\n      --a WIDGET  a widget\n"),
    Error,
    "does not know what WIDGET",
  );
});

Deno.test("each shell's script has every command and every option", async () => {
  for (const [file, text] of Object.entries(await completionFiles())) {
    for (const { name, options } of completion.commands) {
      assert(new RegExp(`\\b${name}\\b`).test(text), `${file}: ${name}`);
      for (const { long = "" } of options) {
        const form = file.endsWith(".fish") ? `-l ${long.slice(2)} ` : long;
        assertStringIncludes(text, form, file);
      }
    }
  }
});

Deno.test("the scripts are well-formed, and nothing in a help gets out of its quotes", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await writeCompletion(folder);
    await Deno.writeTextFile(`${folder}/odd.bash`, bashCompletion(odd));
    await Deno.writeTextFile(`${folder}/odd.zsh`, zshCompletion(odd));
    await Deno.writeTextFile(`${folder}/odd.fish`, fishCompletion(odd));
    await run(["shellcheck", `${folder}/enroot.bash`, `${folder}/odd.bash`]);
    for (const name of ["_enroot", "odd.zsh"]) await run(["zsh", "-n", `${folder}/${name}`]);
    for (const name of ["enroot.fish", "odd.fish"]) {
      await run(["fish", "--no-config", "--no-execute", `${folder}/${name}`]);
    }
    const summary = odd.commands[0]?.summary;
    const fish = `source ${folder}/odd.fish; complete -C 'enroot od'`;
    assertEquals(await run(["fish", "--no-config", "-c", fish]), `odd\t${summary}\n`);
    const zsh = `compdef() { :; }; _describe() { print -r -- "$commands" }; . ${folder}/odd.zsh; ` +
      "_enroot_commands";
    assertEquals(await run(["zsh", "-f", "-c", zsh]), `odd:${summary}\n`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
