import { assertEquals } from "@std/assert";
import { type Level, Terminal } from "./terminal.ts";

function make(
  options: { interactive?: boolean; colour?: boolean; columns?: number; level?: Level },
): {
  terminal: Terminal;
  written: string[];
} {
  const written: string[] = [];
  const { interactive = false, colour = false, columns = 80, level = "info" } = options;
  const write = (text: string): void => void written.push(text);
  return {
    terminal: new Terminal({ write, interactive, colour, columns: () => columns, level }),
    written,
  };
}

Deno.test("a line has its level in front, and those below the level are not shown", () => {
  const { terminal, written } = make({ level: "warning" });
  for (const level of ["debug", "info", "warning", "error"] as const) terminal.log(level, "text");
  assertEquals(written, ["[WARN] text\n", "[ERROR] text\n"]);
});

Deno.test("a message cannot bring line ends or escape sequences to the terminal", () => {
  const { terminal, written } = make({});
  terminal.log("info", "a\nb\x1b[31m\r\x9bc");
  assertEquals(written, ["[INFO] a b [31m c\n"]);
});

Deno.test("progress is not drawn where nobody watches, nor when quiet", () => {
  for (const options of [{ interactive: false }, { interactive: true, level: "error" as const }]) {
    const { terminal, written } = make(options);
    terminal.progress("Downloading", 1, 2);
    terminal.finish();
    assertEquals(written, []);
  }
});

Deno.test("a log line takes the place of the progress line, which comes back below it", () => {
  const { terminal, written } = make({ interactive: true, columns: 40 });
  terminal.progress("Extracting", 1, 4);
  terminal.log("info", "x");
  terminal.finish();
  const bar = "\r\x1b[KExtracting [#####--------------] 25%";
  assertEquals(written, [bar, "\r\x1b[K", "[INFO] x\n", bar, "\r\x1b[K"]);
});

Deno.test("progress never takes more than the line, however narrow", () => {
  for (let columns = 0; columns < 60; columns++) {
    const { terminal, written } = make({ interactive: true, columns });
    terminal.progress("Downloading", 1, 2);
    terminal.log("info", "x");
    terminal.progress("Extracting", 5, 3);
    terminal.log("info", "x");
    const longest = Math.max(
      ...written.filter((text) => text.startsWith("\r\x1b[K")).map((text) => text.length - 4),
    );
    assertEquals(longest <= Math.max(0, columns - 1), true, `${columns}: ${longest}`);
  }
});
