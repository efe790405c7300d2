/**
 * What a release is called and when it was made: the version of `deno.json`, the dates of `docs/changelog.md`.
 *
 * @module
 */

/** A version and what is new in it. */
export interface Entry {
  readonly version: string;
  /** As `YYYY-MM-DD`. */
  readonly date: string;
  /** One text a change, without line breaks. */
  readonly changes: readonly string[];
}

/** What packages are made for. */
export interface Release {
  readonly version: string;
  /** Seconds since 1970: the time of everything that is made. */
  readonly epoch: number;
  /** The newest first. */
  readonly entries: readonly Entry[];
}

/**
 * The entries of a changelog: `## VERSION - DATE`, then a list, whose items may go on in indented lines.
 *
 * @throws {Error} when a line is neither, or there is no entry
 */
export function parseChangelog(text: string): Entry[] {
  const entries: { version: string; date: string; changes: string[] }[] = [];
  for (const line of text.split("\n")) {
    const entry = entries.at(-1);
    const [, version, date] = /^## (\d+\.\d+\.\d+) - (\d{4}-\d\d-\d\d)$/.exec(line) ?? [];
    if (version !== undefined && date !== undefined) {
      entries.push({ version, date, changes: [] });
    } else if (entry === undefined || line === "") continue;
    else if (line.startsWith("- ")) entry.changes.push(line.slice(2));
    else if (line.startsWith("  ") && entry.changes.length > 0) {
      entry.changes.push(`${entry.changes.pop()} ${line.trim()}`);
    } else throw new Error(`docs/changelog.md: '${line}' is no version and no change`);
  }
  if (entries.length === 0) throw new Error("docs/changelog.md: there is no '## VERSION - DATE'");
  return entries;
}

/**
 * The release that a checkout makes.
 *
 * @param epoch the value of `SOURCE_DATE_EPOCH`; without one it is the date of the newest entry
 * @throws {Error} when the newest entry is not that of the version, or the epoch is no number
 */
export function describeRelease(
  version: string,
  changelog: string,
  epoch: string | undefined,
): Release {
  const entries = parseChangelog(changelog);
  const [newest] = entries;
  if (newest?.version !== version) {
    throw new Error(
      `docs/changelog.md begins with ${newest?.version}, but deno.json says ${version}: ` +
        "describe the version first",
    );
  }
  if (epoch !== undefined && !/^\d{1,11}$/.test(epoch)) {
    throw new Error(`SOURCE_DATE_EPOCH is no number of seconds: '${epoch}'`);
  }
  const seconds = epoch === undefined ? Date.parse(`${newest.date}T00:00:00Z`) / 1000 : +epoch;
  return { version, epoch: seconds, entries };
}

/** A changelog as Debian's packages have it, see deb-changelog(5). */
export function debianChangelog({ entries }: Release, maintainer: string): string {
  return entries.map(({ version, date, changes }) => {
    const time = new Date(`${date}T00:00:00Z`).toUTCString().replace("GMT", "+0000");
    const list = changes.map((change) => `${wrap(change, "  * ", "    ", 78)}\n`).join("");
    return `enroot (${version}) stable; urgency=medium\n\n${list}\n -- ${maintainer}  ${time}\n`;
  }).join("\n");
}

/** A changelog as a spec file has it. */
export function rpmChangelog({ entries }: Release, maintainer: string): string {
  return entries.map(({ version, date, changes }) => {
    const [weekday = "", day = "", month = "", year = ""] = new Date(`${date}T00:00:00Z`)
      .toUTCString().replace(",", "").split(" ");
    const list = changes.map((change) => `${wrap(change, "- ", "  ", 78)}\n`).join("");
    // A % would begin a macro.
    return `* ${weekday} ${month} ${day} ${year} ${maintainer} - ${version}-1\n${list}`
      .replaceAll("%", "%%");
  }).join("\n");
}

function wrap(text: string, first: string, others: string, width: number): string {
  const lines: string[] = [];
  let line = first.trimEnd();
  for (const word of text.split(" ")) {
    if (line.length + 1 + word.length > width) {
      lines.push(line);
      line = `${others}${word}`;
    } else line += ` ${word}`;
  }
  return [...lines, line].join("\n");
}
