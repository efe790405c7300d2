/** Parse a TOML document. @throws {SyntaxError} with the line, and a part of it */
export function parse(text: string): Record<string, unknown>;
