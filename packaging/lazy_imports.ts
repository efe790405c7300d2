/**
 * Loading parts of a bundle only when they are asked for.
 *
 * @module
 */

/**
 * Make the dynamic imports of a bundled module lazy.
 *
 * The runtime loads and parses whatever `import("./part.js")` names before the program starts, asked
 * for or not. A specifier that is computed keeps it from doing so.
 *
 * @param text as esbuild writes it: a dynamic import of a part is relative and has no options
 */
export function makeImportsLazy(text: string): string {
  return text.replaceAll(
    /\bimport\("(\.{1,2}\/[^"\\]+)"\)/g,
    "import(new URL(`$1`, import.meta.url).href)",
  );
}
