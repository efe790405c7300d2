/**
 * Markdown as the pages of `docs/` use it, to the roff of manual pages (man(7)).
 *
 * Known are headings, paragraphs, lists, indented code and tables, and in a line code, bold, italics and
 * links. A table becomes a list: its first column is the term, the last one explains it, and those
 * between stand behind it in brackets.
 *
 * @module
 */

/** A piece of a page. */
export type Block =
  | { readonly kind: "heading"; readonly level: number; readonly text: string }
  | { readonly kind: "paragraph"; readonly text: string }
  | { readonly kind: "code"; readonly lines: readonly string[] }
  | { readonly kind: "item"; readonly mark: string; readonly text: string }
  | {
    readonly kind: "table";
    readonly head: readonly string[];
    readonly rows: readonly (readonly string[])[];
  };

/** Take a page apart. */
export function parseMarkdown(text: string): Block[] {
  const blocks: Block[] = [];
  const lines = text.split("\n");
  let at = 0;
  /** The lines from here on that fit, and which are taken. */
  const take = (fits: (line: string) => boolean): string[] => {
    const begin = at;
    while (at < lines.length && fits(lines[at] ?? "")) at++;
    return lines.slice(begin, at);
  };
  while (at < lines.length) {
    const line = lines[at] ?? "";
    const heading = /^(#+) (.*)$/.exec(line);
    const item = /^(-|\d+\.) +(.*)$/.exec(line);
    if (line.trim() === "") at++;
    else if (heading !== null) {
      at++;
      blocks.push({ kind: "heading", level: heading[1]?.length ?? 1, text: heading[2] ?? "" });
    } else if (line.startsWith("    ")) {
      const code = take((each) => each.startsWith("    ") || each === "");
      while (code.at(-1) === "") code.pop();
      blocks.push({ kind: "code", lines: code.map((each) => each.slice(4)) });
    } else if (line.startsWith("|")) {
      const [head = [], , ...rows] = take((each) => each.startsWith("|")).map(cells);
      blocks.push({ kind: "table", head, rows });
    } else if (item !== null) {
      at++;
      const more = take((each) => /^ +\S/.test(each)).map((each) => each.trim());
      blocks.push({
        kind: "item",
        mark: item[1] ?? "",
        text: [item[2] ?? "", ...more].join("\n"),
      });
    } else {
      blocks.push({
        kind: "paragraph",
        text: take((each) => each.trim() !== "" && !/^(?:#|\||- |\d+\. )/.test(each)).join("\n") ||
          (lines[at++] ?? ""),
      });
    }
  }
  return blocks;
}

function cells(row: string): string[] {
  return row.replaceAll(/^\||\|$/g, "").split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));
}

/** One block as roff, with its line ends. */
export function blockToRoff(block: Block): string {
  switch (block.kind) {
    case "heading":
      return block.level <= 2
        ? `.SH ${quoted(plainText(block.text).toUpperCase())}\n`
        : `.SS ${quoted(plainText(block.text))}\n`;
    case "paragraph":
      return `.PP\n${wrapped(inlineToRoff(block.text))}\n`;
    case "code":
      return `.PP\n.RS 4\n.EX\n${block.lines.map(literal).join("\n")}\n.EE\n.RE\n`;
    case "item":
      return `.IP ${block.mark === "-" ? "\\(bu 2" : `${block.mark} 4`}\n${
        wrapped(inlineToRoff(block.text))
      }\n`;
    case "table":
      return block.rows.map((row) => rowToRoff(row, block.head)).join("");
  }
}

function rowToRoff(row: readonly string[], head: readonly string[]): string {
  const between = row.slice(1, -1)
    .flatMap((cell, index) => cell === "" ? [] : [`(${head[index + 1]}: ${cell})`]);
  const [first = "", last = ""] = [row[0], row.at(-1)];
  // A row without a term goes on with the one above it.
  const term = first === "" ? "" : `.TP\n${guarded(inlineToRoff(first))}\n`;
  const text = [last, ...between].join(" ");
  return text === "" ? term : `${term}${wrapped(inlineToRoff(text))}\n`;
}

/** Text of a paragraph as roff, on one line. */
export function inlineToRoff(text: string): string {
  const parts = text.replaceAll("\n", " ").split(
    /(`[^`]+`|\*\*[^*]+\*\*|(?<!\w)_[^_]+_(?!\w)|\[[^\]]+\]\([^)]+\))/,
  );
  return parts.map((part, index) => {
    if (index % 2 === 0) return escape(part);
    if (part.startsWith("`")) return `\\fB${code(part.slice(1, -1))}\\fR`;
    if (part.startsWith("**")) return `\\fB${escape(part.slice(2, -2))}\\fR`;
    if (part.startsWith("_")) return `\\fI${escape(part.slice(1, -1))}\\fR`;
    return inlineToRoff(part.slice(1, part.lastIndexOf("](")));
  }).join("");
}

/** Text in lines that are not too long to be read; roff fills them anew. */
function wrapped(roff: string): string {
  const lines: string[] = [];
  let line = "";
  for (const word of roff.split(" ")) {
    if (line !== "" && line.length + word.length >= 80) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].map(guarded).join("\n");
}

/** Text without its marks. */
export function plainText(text: string): string {
  return text.replaceAll(/\[([^\]]+)\]\([^)]+\)/g, "$1").replaceAll(/`|\*\*/g, "");
}

/** Text as an argument of a macro. */
export function quoted(text: string): string {
  return `"${escape(text).replaceAll('"', "\\(dq")}"`;
}

/** A line that is shown as it is. */
export function literal(line: string): string {
  return guarded(code(line));
}

function code(text: string): string {
  // These four are typography to roff: copied from a terminal they would be other characters.
  return escape(text).replaceAll("-", "\\-").replaceAll("'", "\\(aq").replaceAll("`", "\\(ga")
    .replaceAll("^", "\\(ha").replaceAll("~", "\\(ti");
}

function escape(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll(
    /[^\t\n -~]/gu,
    (character) =>
      `\\[u${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}]`,
  );
}

/** A line that roff does not take for a request. */
function guarded(line: string): string {
  return /^[.']/.test(line) ? `\\&${line}` : line;
}
