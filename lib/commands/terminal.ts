/**
 * What the person at the terminal sees on standard error: log lines, and progress while it lasts.
 *
 * @module
 */

/** How loud a line is, and what it is called in front of it. */
export type Level = "debug" | "info" | "warning" | "error";

const order: readonly Level[] = ["debug", "info", "warning", "error"];
const tags: Readonly<Record<Level, string>> = {
  debug: "[DEBUG]",
  info: "[INFO]",
  warning: "[WARN]",
  error: "[ERROR]",
};
const colours: Readonly<Record<Level, string>> = {
  debug: "\x1b[2m",
  info: "\x1b[34m",
  warning: "\x1b[33m",
  error: "\x1b[31m",
};

/** How often a progress line is drawn anew at most, in milliseconds. */
const redrawEvery = 100;

/** Where a terminal's text goes and how it is shown. */
export interface TerminalOptions {
  /** Takes the bytes of text that is to be shown; must not fail. */
  readonly write: (text: string) => void;
  /** Whether a person watches: colours and progress are only for them. */
  readonly interactive: boolean;
  /** Whether colours are wanted there. */
  readonly colour: boolean;
  /** Columns, asked for anew with each progress line. */
  readonly columns: () => number;
  /** The quietest level that is shown. */
  readonly level: Level;
}

/** One thing that is under way. */
interface Phase {
  done: number;
  total: number | undefined;
}

/** Standard error with levels, colours and one progress line at its foot. */
export class Terminal {
  #level: Level;
  #isAsked = false;
  #traces = false;
  readonly #options: TerminalOptions;
  readonly #phases = new Map<string, Phase>();
  #drawn = false;
  #drawnAt = -Infinity;

  constructor(options: TerminalOptions) {
    this.#options = options;
    this.#level = options.level;
  }

  /** The quietest level that is shown. */
  get level(): Level {
    return this.#level;
  }

  set level(level: Level) {
    this.#level = level;
    this.#isAsked = true;
  }

  /** Show what the configuration says, unless this call was asked for another level. */
  configure({ level, traces }: { readonly level: Level; readonly traces: boolean }): void {
    if (!this.#isAsked) this.#level = level;
    this.#traces = traces;
  }

  /** Whether errors are shown with where they come from. */
  get traces(): boolean {
    return this.#traces;
  }

  /** Whether lines of this level are shown. */
  shows(level: Level): boolean {
    return order.indexOf(level) >= order.indexOf(this.#level);
  }

  /** Show one line. Line ends and control characters in the message are shown as spaces. */
  log(level: Level, message: string): void {
    if (!this.shows(level)) return;
    // deno-lint-ignore no-control-regex
    const line = message.replaceAll(/[\x00-\x08\x0a-\x1f\x7f\x80-\x9f]+/g, " ").trimEnd();
    const tag = this.#options.colour ? `${colours[level]}${tags[level]}\x1b[0m` : tags[level];
    this.#erase();
    this.#options.write(`${tag} ${line}\n`);
    this.#draw();
  }

  /**
   * Show how far something is; nothing happens where nobody watches.
   *
   * @param label what it is, for example `Downloading`; each label has its own place
   * @param done how much is done, in any unit
   * @param total how much there is; `undefined` when not known
   */
  progress(label: string, done: number, total: number | undefined): void {
    if (!this.#options.interactive || !this.shows("info")) return;
    this.#phases.set(label, { done, total });
    if (performance.now() - this.#drawnAt >= redrawEvery) this.#draw();
  }

  /** Take a label's progress away, or all progress. */
  finish(label?: string): void {
    if (label === undefined) this.#phases.clear();
    else this.#phases.delete(label);
    this.#erase();
    this.#draw();
  }

  #erase(): void {
    if (!this.#drawn) return;
    this.#options.write("\r\x1b[K");
    this.#drawn = false;
  }

  #draw(): void {
    if (this.#phases.size === 0) return;
    this.#drawnAt = performance.now();
    this.#drawn = true;
    // One column is left free: a full line would wrap on some terminals.
    const line = progressLine(this.#phases, this.#options.columns() - 1);
    this.#options.write(`\r\x1b[K${line}`);
  }
}

function progressLine(phases: ReadonlyMap<string, Phase>, columns: number): string {
  const share = Math.floor(columns / phases.size) - 2;
  const parts = [...phases].map(([label, { done, total }]) => {
    if (total === undefined || total <= 0) return `${label} …`;
    const part = Math.min(1, done / total);
    const percent = `${Math.floor(part * 100)}%`.padStart(4);
    const width = Math.min(30, share - label.length - percent.length - 4);
    if (width < 5) return `${label}${percent}`;
    const filled = Math.round(part * width);
    return `${label} [${"#".repeat(filled)}${"-".repeat(width - filled)}]${percent}`;
  });
  return parts.join("  ").slice(0, Math.max(0, columns));
}
