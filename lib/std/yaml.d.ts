/** How a document is read. */
export interface ParseOptions {
  /** Which tags there are; `core` is that of YAML 1.2: no dates, no binary data. */
  schema?: "failsafe" | "json" | "core" | "default" | "extended";
}

/** Read one YAML document. @throws {SyntaxError} when it is none */
export function parse(content: string, options?: ParseOptions): unknown;
