/**
 * `enroot prewarm`
 *
 * @module
 */

import type { Config } from "../config/config.ts";
import { UsageError } from "../errors.ts";
import { withTermination } from "../process/signals.ts";
import { Connections } from "../source/registry/connections.ts";
import { assertMksquashfs } from "../storage/squashfs.ts";
import type { Command, Context } from "./command.ts";
import { isPointerWanted } from "./image_output.ts";
import { type ParsedOptions, parseOptions } from "./options.ts";
import {
  goneAgain,
  type PrewarmedImage,
  prewarmImage,
  type PrewarmMeans,
  type Target,
  whatIsThere,
} from "./prewarm_image.ts";
import { type ListedImage, readList } from "./prewarm_list.ts";
import { PrewarmReport } from "./prewarm_report.ts";
import { makePool } from "./reported_build.ts";
import { configOf, openTemplateStore, templateConfig } from "./store.ts";

/** How many images are worked on at once, unless the user says otherwise. */
const defaultJobs = 4;

/** Has many images at hand before they are needed. */
export const command: Command = {
  usage: `prewarm [-a|--arch ARCH] [-f|--format pointer|squashfs] [-j|--jobs N] [--json] LIST|-

Have many images at hand before they are needed: in the ZFS store as templates (by root
in that of ENROOT_TEMPLATE_STORE, for all users), else in the cache. What several images
share is fetched once. One line an image says what became of it; exit code 1 when one
failed, with the rest done.

  LIST  a file with one image URI a line, as 'import' takes them; '-': standard input.
        Empty lines and those that begin with '#' are passed over

  -a, --arch ARCH   the architecture of the images (default: this machine's)
  -f, --format FMT  write an image file of each, too, into the current folder, as
                    'import' does
  -j, --jobs N      how many images are worked on at once (default: ${defaultJobs})
      --json        a JSON object a line for what happens
`,
  async run(context) {
    const options = parseOptions(context.args, {
      values: { arch: "a", format: "f", jobs: "j" },
      flags: { json: undefined },
    });
    const [file, ...more] = options.operands;
    if (file === undefined) throw new UsageError("'prewarm' needs a list of images");
    if (more.length > 0) throw new UsageError(`'prewarm' takes one list: '${more[0]}'`);
    const jobs = Number(options.value("jobs") ?? defaultJobs);
    if (!Number.isSafeInteger(jobs) || jobs < 1) {
      throw new UsageError(`--jobs must be a number from 1: '${options.value("jobs")}'`);
    }
    const config = templateConfig(await configOf(context));
    const target = targetOf(config, options.value("format"));
    if (target === "squashfs") assertMksquashfs();
    const list = await readList(file);
    if (list.length === 0) context.terminal.log("warning", "the list names no image");
    return await withTermination((signal) =>
      prewarm(context, config, { list, target, jobs, options, signal })
    );
  },
};

/** Where images go. @throws {UsageError} when they cannot */
function targetOf(config: Config, format: string | undefined): Target {
  if (format !== undefined) return isPointerWanted(config, format) ? "pointer" : "squashfs";
  return config.storageBackend === "zfs" ? "template" : "cache";
}

async function prewarm(
  context: Context,
  config: Config,
  { list, target, jobs, options, signal }: {
    readonly list: readonly ListedImage[];
    readonly target: Target;
    readonly jobs: number;
    readonly options: ParsedOptions;
    readonly signal: AbortSignal;
  },
): Promise<number> {
  const report = new PrewarmReport(context, { asJson: options.flag("json"), count: list.length });
  await using stack = new AsyncDisposableStack();
  const connections = stack.use(new Connections(config.maxConnections));
  const pool = stack.use(makePool(context, config));
  const needsStore = target === "template" || target === "pointer";
  const store = needsStore ? await openTemplateStore(context, config) : undefined;
  store?.ready();
  const means: PrewarmMeans = {
    ...{ context, config, target, signal, shared: { connections, pool } },
    architecture: options.value("arch"),
    ...(store === undefined ? {} : { store }),
  };
  const done = await prewarmAll(means, { list, jobs, report });
  signal.throwIfAborted();
  await store?.maintain();
  if (target !== "squashfs" && done.size > 0) {
    const there = await whatIsThere(means);
    for (const [listed, { needs }] of done) {
      if (needs.every((each) => there.has(each))) continue;
      report.failed(listed, goneAgain(target), { wasReady: true });
    }
  }
  return report.end();
}

/** Work on all images, so many at once. @returns those that are ready; the signal ends it early */
async function prewarmAll(
  means: PrewarmMeans,
  { list, jobs, report }: {
    readonly list: readonly ListedImage[];
    readonly jobs: number;
    readonly report: PrewarmReport;
  },
): Promise<ReadonlyMap<ListedImage, PrewarmedImage>> {
  const { signal } = means;
  const done = new Map<ListedImage, PrewarmedImage>();
  async function one(listed: ListedImage): Promise<void> {
    const begunAt = performance.now();
    report.begin(listed);
    try {
      if (listed.uri === undefined) throw listed.problem;
      const image = await prewarmImage(means, listed.uri, listed.name);
      done.set(listed, image);
      report.ready(listed, image, performance.now() - begunAt);
    } catch (error) {
      // What was cut short has not failed.
      if (!signal.aborted) report.failed(listed, error, { took: performance.now() - begunAt });
    }
  }
  const queue = list.values();
  await Promise.all(Array.from({ length: Math.min(jobs, list.length) }, async () => {
    for (const listed of queue) {
      if (signal.aborted) return;
      await one(listed);
    }
  }));
  return done;
}
