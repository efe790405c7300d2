import { assertEquals } from "@std/assert";
import { type CommandFacts, invocationOf } from "./command.ts";

const facts: CommandFacts = {
  shell: "/bin/bash",
  loginShell: true,
  hasRc: false,
  fileMode: (path) => ({ "/bin/ls": 0o755, "/script": 0o644 })[path],
};

const table: [command: string[], changes: Partial<CommandFacts>, argv: string[]][] = [
  [["a", "b c"], { hasRc: true }, ["-bash", "/etc/rc", "a", "b c"]],
  [[], { hasRc: true }, ["-bash", "/etc/rc"]],
  [[], {}, ["-bash"]],
  [[], { loginShell: false }, ["bash"]],
  [["echo hi", "x"], {}, ["-bash", "-c", "echo hi", "bash", "x"]],
  [["ls", "-l"], {}, ["-bash", "-c", 'exec "$@"', "bash", "ls", "-l"]],
  [["/bin/ls"], {}, ["-bash", "-c", 'exec "$@"', "bash", "/bin/ls"]],
  [["/script", "x"], {}, ["-bash", "/script", "x"]],
  [["/none"], {}, ["-bash", "-c", 'exec "$@"', "bash", "/none"]],
];
for (const [command, changes, argv] of table) {
  Deno.test(`${JSON.stringify(command)} with ${JSON.stringify(changes)} runs ${argv.join(" ")}`, () => {
    assertEquals(invocationOf(command, { ...facts, ...changes }), { path: "/bin/bash", argv });
  });
}
