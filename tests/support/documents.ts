/**
 * The pages of the documentation, taken apart for tests.
 *
 * @module
 */

import { type Block, parseMarkdown } from "../../packaging/markdown_roff.ts";

const top = new URL("../../", import.meta.url);

/** A page. */
export interface Document {
  /** Below the project's folder: `docs/zfs.md`. */
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
}

/** All pages: `README.md` and what is below `docs`, by name. */
export async function documents(): Promise<Document[]> {
  const paths = ["README.md"];
  async function walk(folder: string): Promise<void> {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, top))) {
      if (isDirectory) await walk(`${folder}${name}/`);
      else if (name.endsWith(".md")) paths.push(`${folder}${name}`);
    }
  }
  await walk("docs/");
  return await Promise.all(
    paths.sort().map(async (path) => {
      const text = await Deno.readTextFile(new URL(path, top));
      return { path, text, blocks: parseMarkdown(text) };
    }),
  );
}

/** The pieces of code on a page: the lines of its blocks, and what stands between backquotes. */
export function codeOf({ blocks }: Document): string[] {
  return blocks.flatMap((block) => {
    switch (block.kind) {
      case "code":
        return block.lines;
      case "table":
        return block.rows.flat().flatMap(spans);
      default:
        return spans(block.text);
    }
  });
}

function spans(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code.replaceAll("\n", " "));
}

/** Where the links of a page lead to; a target may have an anchor. */
export function linksOf({ blocks }: Document): string[] {
  return blocks.flatMap((block) => {
    if (block.kind === "code") return [];
    const text = block.kind === "table"
      ? [block.head, ...block.rows].flat().join("\n")
      : block.text;
    return [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
  });
}

/** The anchors that the headings of a page are given. */
export function anchorsOf({ blocks }: Document): string[] {
  return blocks.flatMap((block) =>
    block.kind === "heading"
      ? [block.text.toLowerCase().replaceAll(/[^\w\s-]/g, "").replaceAll(/\s/g, "-")]
      : []
  );
}

/** The blocks of a page's section, without its heading; those before the first one for `""`. */
export function sectionOf({ blocks }: Document, title: string): readonly Block[] {
  const isHead = (block: Block | undefined): boolean =>
    block?.kind === "heading" && block.level === 2;
  const begin = title === ""
    ? 0
    : blocks.findIndex((block) => isHead(block) && "text" in block && block.text === title);
  if (begin === -1) return [];
  const end = blocks.findIndex((block, index) => index > begin && isHead(block));
  return blocks.slice(begin + 1, end === -1 ? undefined : end);
}
