/**
 * Where this machine gets Debian from: the mirror in its own apt sources.
 *
 * @module
 */

/** The mirror's URL in the text of one-line sources (`sources.list`) that has this suite. */
export function mirrorOfLines(text: string, suite: string): string | undefined {
  for (const line of text.split("\n")) {
    const words = line.replace(/#.*/, "").replace(/\[[^\]]*\]/, " ").trim().split(/\s+/);
    const [type, url = "", name, ...components] = words;
    if (type === "deb" && name === suite && components.includes("main") && isHttp(url)) return url;
  }
  return undefined;
}

/** The mirror's URL in the text of a deb822 file (`*.sources`) that has this suite. */
export function mirrorOfStanzas(text: string, suite: string): string | undefined {
  for (const stanza of text.replaceAll(/^#.*\n/gm, "").split(/\n\s*\n/)) {
    const fields = new Map<string, string[]>();
    for (const [, name = "", value = ""] of stanza.matchAll(/^([\w-]+):(.*(?:\n[ \t].*)*)/gm)) {
      fields.set(name.toLowerCase(), value.trim().split(/\s+/));
    }
    const has = (field: string, word: string): boolean =>
      fields.get(field)?.includes(word) ?? false;
    if (fields.get("enabled")?.[0] === "no") continue;
    if (!has("types", "deb") || !has("suites", suite) || !has("components", "main")) continue;
    const url = fields.get("uris")?.find(isHttp);
    if (url !== undefined) return url;
  }
  return undefined;
}

/** The URL of a mirror of this suite in /etc/apt. @throws {Error} when there is none */
export async function debianMirror(suite: string): Promise<string> {
  const files = ["/etc/apt/sources.list"];
  for await (const { name } of Deno.readDir("/etc/apt/sources.list.d")) {
    if (/\.(list|sources)$/.test(name)) files.push(`/etc/apt/sources.list.d/${name}`);
  }
  for (const file of files.sort()) {
    let text: string;
    try {
      text = await Deno.readTextFile(file);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) continue;
      throw error;
    }
    const parse = file.endsWith(".sources") ? mirrorOfStanzas : mirrorOfLines;
    const url = parse(text, suite);
    if (url !== undefined) return url;
  }
  throw new Error(`no mirror of Debian's suite '${suite}' in /etc/apt/sources.list or beside it`);
}

function isHttp(url: string): boolean {
  return /^https?:\/\//.test(url);
}
