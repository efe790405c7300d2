/**
 * Measuring side by side: each thing in turn, round after round, so that what else the machine
 * does falls on all of them alike.
 *
 * @module
 */

/** One way to do a job. */
export interface Contender {
  readonly name: string;
  /** Bring everything back to the start; its time does not count. */
  readonly prepare?: () => Promise<void>;
  /** Do the job. */
  readonly run: () => Promise<void>;
}

/** What a benchmark found. */
export interface BenchResult {
  /** What was measured. */
  readonly name: string;
  /** What it was compared with. */
  readonly baseline: string;
  readonly medianMs: number;
  readonly baselineMs: number;
  /** {@linkcode medianMs} as a multiple of {@linkcode baselineMs}. */
  readonly ratio: number;
  /** What the ratio may be at most. */
  readonly bound: number;
  readonly ok: boolean;
  /** All times in order, for whoever doubts the medians. */
  readonly timesMs: readonly number[];
  readonly baselineTimesMs: readonly number[];
}

/** A benchmark by its name. */
export interface Benchmark {
  readonly name: string;
  /** Measure. @param report told what is being done, for people */
  run(report: (text: string) => void): Promise<BenchResult[]>;
}

/**
 * Time several ways to do a job, interleaved.
 *
 * @param rounds how often each is run; a first run of each, which warms caches, does not count
 * @returns the times in milliseconds by contender, in the order given
 */
export async function measure(
  contenders: readonly Contender[],
  rounds: number,
  report: (text: string) => void = () => {},
): Promise<number[][]> {
  const times = contenders.map((): number[] => []);
  for (let round = 0; round <= rounds; round++) {
    for (const [index, { name, prepare, run }] of contenders.entries()) {
      await prepare?.();
      const start = performance.now();
      await run();
      const time = performance.now() - start;
      if (round > 0) times[index]?.push(time);
      report(`${name}: ${time.toFixed(0)} ms${round === 0 ? " (not counted)" : ""}`);
    }
  }
  return times;
}

/** Put two lists of times into a result. */
export function compare(
  { name, baseline, bound, times, baselineTimes }: {
    readonly name: string;
    readonly baseline: string;
    readonly bound: number;
    readonly times: readonly number[];
    readonly baselineTimes: readonly number[];
  },
): BenchResult {
  const medianMs = median(times);
  const baselineMs = median(baselineTimes);
  const ratio = medianMs / baselineMs;
  return {
    ...{ name, baseline, medianMs, baselineMs, ratio, bound, ok: ratio <= bound },
    timesMs: times,
    baselineTimesMs: baselineTimes,
  };
}

/** The middle value; of an even number the mean of the two. @throws {Error} when there is none */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[sorted.length >> 1];
  const lower = sorted[(sorted.length - 1) >> 1];
  if (upper === undefined || lower === undefined) throw new Error("nothing was measured");
  return (upper + lower) / 2;
}
