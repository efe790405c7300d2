/**
 * Manual pages: `deno run -A packaging/man_pages.ts [FOLDER]` writes them to `dist/man`.
 *
 * Each page of `docs/commands` becomes one of section 1, and `docs/configuration.md` enroot.conf(5).
 *
 * @module
 */

import { commands } from "../lib/commands/dispatch.ts";
import manifest from "../deno.json" with { type: "json" };
import { type Block, blockToRoff, literal, parseMarkdown, quoted } from "./markdown_roff.ts";

const top = new URL("../", import.meta.url).pathname.replace(/\/$/, "");

/** A page to be made. */
interface Page {
  /** The name in the manual: `enroot-create`. */
  readonly name: string;
  readonly section: 1 | 5;
  /** One line for apropos(1), without a full stop. */
  readonly about: string;
  /** The page that it is made of, below `docs`. */
  readonly source: string;
}

/** How pages are made. */
export interface ManOptions {
  /** The date in their foot, `YYYY-MM-DD`. */
  readonly date: string;
}

/**
 * The manual pages by the names of their files.
 *
 * @throws {Error} when a command has no page
 */
export async function manPages(options: ManOptions): Promise<ReadonlyMap<string, string>> {
  const shown = Object.entries(commands).flatMap(([name, { summary }]) =>
    summary === undefined ? [] : [{ name, summary }]
  );
  const pages: Page[] = [
    {
      ...{ name: "enroot", section: 1, source: "commands/enroot.md" },
      about: "run containers without a daemon and without root",
    },
    ...shown.map(({ name, summary }): Page => ({
      ...{ name: `enroot-${name}`, section: 1, source: `commands/${name}.md` },
      about: summary.replace(/^[A-Z]/, (letter) => letter.toLowerCase()),
    })),
    {
      ...{ name: "enroot.conf", section: 5, source: "configuration.md" },
      about: "configuration of enroot",
    },
  ];
  const made = pages.map(async (page): Promise<[string, string]> => {
    const markdown = await Deno.readTextFile(`${top}/docs/${page.source}`);
    const others = pages.filter((each) => each !== page);
    return [`${page.name}.${page.section}`, manPage(page, markdown, others, options)];
  });
  return new Map(await Promise.all(made));
}

/** A page as roff. @param others the pages that it may refer to */
function manPage(
  { name, section, about, source }: Page,
  markdown: string,
  others: readonly Page[],
  { date }: ManOptions,
): string {
  const blocks = parseMarkdown(asReferences(markdown, source, others));
  if (blocks[0]?.kind === "heading") blocks.shift();
  const synopsis = section === 1 && blocks[0]?.kind === "code" ? blocks.shift() : undefined;
  const version = quoted(`enroot ${manifest.version}`);
  return [
    `.TH ${quoted(name.toUpperCase())} ${section} ${date} ${version} "enroot"`,
    // Names of variables and paths are not to be broken, nor blanks stretched around them.
    ...[".nh", ".ad l", ".SH NAME"],
    `${literal(name)} \\- ${literal(about)}`,
    ...(synopsis?.kind === "code"
      ? [".SH SYNOPSIS", ".nf", ...synopsis.lines.map((line) => `\\fB${literal(line)}\\fR`), ".fi"]
      : []),
    ".SH DESCRIPTION",
    bodyToRoff(blocks).trimEnd(),
    '.SH "SEE ALSO"',
    related(markdown, source, others).map((each) => `.BR ${literal(each.name)} (${each.section})`)
      .join(" ,\n"),
    "",
  ].join("\n");
}

/** Links to other manual pages, as manual pages refer to each other. */
function asReferences(markdown: string, source: string, others: readonly Page[]): string {
  return markdown.replaceAll(/\[[^\]]+\]\(([^)#\s]+)\)/g, (link, target: string) => {
    const page = others.find((each) => each.source === pathOf(target, source));
    return page === undefined ? link : `**${page.name}**(${page.section})`;
  });
}

/** Where a link of a page leads to, below `docs`. */
function pathOf(target: string, source: string): string {
  return new URL(target, new URL(source, "file:///")).pathname.slice(1);
}

/** The pages that a page has links to, and the one of the program. */
function related(markdown: string, source: string, others: readonly Page[]): Page[] {
  const links = [...markdown.matchAll(/\]\(([^)]+)\)/g)].map(([, link = ""]) =>
    pathOf(link, source)
  );
  return others.filter((each) => each.name === "enroot" || links.includes(each.source))
    .toSorted((a, b) => a.name < b.name ? -1 : 1);
}

/** A table of options before the first heading is a section of its own, as manual pages have it. */
function bodyToRoff(blocks: readonly Block[]): string {
  let isLead = true;
  let before: Block | undefined;
  let roff = "";
  for (const block of blocks) {
    if (block.kind === "heading") isLead = false;
    const isOptions = isLead && block.kind === "table" && block.head[0] === "option";
    if (isOptions) roff += ".SH OPTIONS\n";
    // The first paragraph below a heading needs no distance from it.
    const text = blockToRoff(block);
    const isFirst = before === undefined || before.kind === "heading";
    roff += isFirst && !isOptions ? text.replace(/^\.PP\n/, "") : text;
    before = block;
  }
  return roff;
}

/** Write the manual pages. @param folder is made when it is not there */
export async function writeManPages(folder: string, options: ManOptions): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  for (const [name, text] of await manPages(options)) {
    await Deno.writeTextFile(`${folder}/${name}`, text);
  }
}

if (import.meta.main) {
  const folder = Deno.args[0] ?? `${top}/dist/man`;
  const epoch = Deno.env.get("SOURCE_DATE_EPOCH");
  const made = epoch === undefined ? new Date() : new Date(Number(epoch) * 1000);
  await writeManPages(folder, { date: made.toISOString().slice(0, 10) });
  console.log(`Made ${folder}`);
}
