import { assertEquals } from "@std/assert";
import { blockToRoff, inlineToRoff, literal, parseMarkdown } from "./markdown_roff.ts";

Deno.test("a page is taken apart into its blocks", () => {
  const text = `# Title

Two lines
of text.

| a    | what      |
| ---- | --------- |
| \`x\\|y\` | both      |

    code

      more

- one
  line
- two
1. three
## Next
`;
  assertEquals(parseMarkdown(text), [
    { kind: "heading", level: 1, text: "Title" },
    { kind: "paragraph", text: "Two lines\nof text." },
    { kind: "table", head: ["a", "what"], rows: [["`x|y`", "both"]] },
    { kind: "code", lines: ["code", "", "  more"] },
    { kind: "item", mark: "-", text: "one\nline" },
    { kind: "item", mark: "-", text: "two" },
    { kind: "item", mark: "1.", text: "three" },
    { kind: "heading", level: 2, text: "Next" },
  ]);
});

Deno.test("text keeps what it says: what is roff's own is escaped", () => {
  for (
    const [text, roff] of [
      ["plain", "plain"],
      ["`--name` **bold** _it_ a_b_c", "\\fB\\-\\-name\\fR \\fBbold\\fR \\fIit\\fR a_b_c"],
      ["back\\slash", "back\\eslash"],
      ["`'~^\\``", "\\fB\\(aq\\(ti\\(ha\\e\\fR`"],
      ["[`list`](list.md) and [text](a.md#b)", "\\fBlist\\fR and text"],
      ["more… → 日本", "more\\[u2026] \\[u2192] \\[u65E5]\\[u672C]"],
      ["two\nlines", "two lines"],
    ] as const
  ) assertEquals(inlineToRoff(text), roff, text);
});

Deno.test("no line of text becomes a request", () => {
  assertEquals(
    blockToRoff({ kind: "paragraph", text: ".so /etc/passwd" }),
    ".PP\n\\&.so /etc/passwd\n",
  );
  assertEquals(literal("'quoted"), "\\(aqquoted");
  assertEquals(
    blockToRoff({ kind: "code", lines: [".TH", "\\x"] }),
    ".PP\n.RS 4\n.EX\n\\&.TH\n\\ex\n.EE\n.RE\n",
  );
  // Where a long line is broken, too.
  const long = `${"a".repeat(79)} .so ${"b".repeat(79)} 'x`;
  assertEquals(
    blockToRoff({ kind: "item", mark: "-", text: long }),
    `.IP \\(bu 2\n${"a".repeat(79)}\n\\&.so\n${"b".repeat(79)}\n\\&'x\n`,
  );
});

Deno.test("a table becomes a list of terms", () => {
  assertEquals(
    blockToRoff({
      kind: "table",
      head: ["key", "default", "what"],
      rows: [["`A`", "`yes`", "to do"], ["", "", "it"], ["`B`", "", ""]],
    }),
    ".TP\n\\fBA\\fR\nto do (default: \\fByes\\fR)\nit\n.TP\n\\fBB\\fR\n",
  );
});
