/**
 * The `zfs` command: one method a subcommand, and what it prints as typed rows.
 *
 * It knows no images and decides nothing. Each call is one process, so callers ask for all they need
 * in one: a process costs more than what it does.
 *
 * @module
 */

import { EnrootError } from "../errors.ts";
import { CommandError, findProgram, runBriefly } from "../process/run.ts";
import type { DatasetName, SnapshotName } from "./dataset.ts";
import { ZfsError } from "./error.ts";

/** Runs a program and gives back what it printed. @throws {CommandError} when it fails */
export type Runner = (argv: readonly string[]) => Promise<string>;

/** Properties to set, by name: native ones and user properties, which have a colon. */
export type Properties = Readonly<Record<string, string>>;

/** One dataset or snapshot of a list: a value for each column that was asked for. */
export type Row<Column extends string> = Readonly<Record<Column | "name", string>>;

/** How datasets are listed. */
export interface ListOptions<Column extends string> {
  /** Which properties are wanted besides the name; numbers come as plain digits, none as `-`. */
  readonly columns?: readonly Column[];
  /** How far below the named ones; absent: only those named. */
  readonly depth?: number;
  readonly types?: readonly ("filesystem" | "snapshot")[];
}

/** How often a command that found a dataset busy is tried, and how long is waited in between. */
const busyTries = 5;
const busyPause = 200;

/**
 * How many names one call has: for each that is not there it writes a line of some 300 bytes at most, and
 * all of these have to be there still when it has ended (`keptStderr` in `process/run.ts`).
 */
const namesAtOnce = 48;

/** The `zfs` command. Stateless: any number of calls may run at once. */
export class Zfs {
  readonly #run: Runner;

  /** @param runner what runs it; by default the program itself, in an environment of its own */
  constructor(runner: Runner = runZfs) {
    this.#run = runner;
  }

  /**
   * The properties of datasets and snapshots.
   *
   * @param names those that do not exist are left out; many are asked for a part at a time
   * @throws {ZfsError} on any failure but absence
   */
  async list<Column extends string>(
    names: readonly (DatasetName | SnapshotName)[],
    options: ListOptions<Column> = {},
  ): Promise<Row<Column>[]> {
    const rows: Row<Column>[] = [];
    for (let at = 0; at < names.length; at += namesAtOnce) {
      rows.push(...await this.#list(names.slice(at, at + namesAtOnce), options));
    }
    return rows;
  }

  async #list<Column extends string>(
    names: readonly (DatasetName | SnapshotName)[],
    { columns = [], depth, types = ["filesystem", "snapshot"] }: ListOptions<Column>,
  ): Promise<Row<Column>[]> {
    const wanted = ["name", ...columns];
    const argv = [
      ...["zfs", "list", "-H", "-p", "-o", wanted.join(","), "-t", types.join(",")],
      ...(depth === undefined ? [] : ["-d", String(depth)]),
      ...names,
    ];
    let output: string;
    try {
      output = await this.#run(argv);
    } catch (error) {
      // It lists those there are and fails for those there are not.
      const failure = zfsError(error);
      if (failure.reason !== "not-found" || !(failure.cause instanceof CommandError)) throw failure;
      if (!onlyAbsent(failure.cause.stderr)) throw failure;
      output = failure.cause.stdout;
    }
    return parseRows<Column>(output, wanted);
  }

  /** Set properties of a dataset, or of several. @throws {ZfsError} */
  async set(datasets: DatasetName | readonly DatasetName[], properties: Properties): Promise<void> {
    const names = typeof datasets === "string" ? [datasets] : datasets;
    if (names.length > 0) await this.#do(["set", ...assignments(properties), ...names]);
  }

  /** Make a file system, and do not mount it. @throws {ZfsError} reason `exists` when it is there */
  async create(dataset: DatasetName, properties: Properties = {}): Promise<void> {
    await this.#do(["create", "-u", ...options(properties), dataset]);
  }

  /**
   * Make a clone of a snapshot, and do not mount it: `canmount=noauto` is set, because `-u` is known
   * from 2.4 on only. Of several that make one name at once exactly one does.
   *
   * @throws {ZfsError} reason `exists` when the name is taken, `not-found` when there is no snapshot
   */
  async clone(
    snapshot: SnapshotName,
    dataset: DatasetName,
    properties: Properties = {},
  ): Promise<void> {
    await this.#do([
      ...["clone", ...options({ canmount: "noauto", ...properties })],
      ...[snapshot, dataset],
    ]);
  }

  /** Make a snapshot. @param properties user properties @throws {ZfsError} */
  async snapshot(snapshot: SnapshotName, properties: Properties = {}): Promise<void> {
    await this.#do(["snapshot", ...options(properties), snapshot]);
  }

  /** The properties that a dataset has got from a stream. @throws {ZfsError} */
  async receivedProperties(dataset: DatasetName): Promise<string[]> {
    const args = ["get", "-H", "-o", "property", "-s", "received", "all", dataset];
    try {
      return (await this.#run(["zfs", ...args])).split("\n").slice(0, -1);
    } catch (error) {
      throw zfsError(error);
    }
  }

  /** Take a property away, so that what is above counts. @throws {ZfsError} */
  async inherit(dataset: DatasetName, property: string): Promise<void> {
    await this.#do(["inherit", property, dataset]);
  }

  /** Rename a dataset with its snapshots, without touching mounts. @throws {ZfsError} */
  async rename(from: DatasetName, to: DatasetName): Promise<void> {
    await this.#do(["rename", "-u", from, to]);
  }

  /**
   * Destroy a dataset, or a snapshot.
   *
   * @param options.recursive with its snapshots and what is below it; never with its clones
   * @param options.tries how often it is tried while it is busy
   * @throws {ZfsError} reason `not-found` when it is not there, `busy` when it is in use to the last
   */
  async destroy(
    name: DatasetName | SnapshotName,
    { recursive = false, tries = busyTries }: {
      readonly recursive?: boolean;
      readonly tries?: number;
    } = {},
  ): Promise<void> {
    await this.#do(["destroy", ...(recursive ? ["-r"] : []), name], tries);
  }

  async #do(args: readonly string[], tries = busyTries): Promise<void> {
    for (let attempt = 1;; attempt++) {
      try {
        await this.#run(["zfs", ...args]);
        return;
      } catch (error) {
        const failure = zfsError(error);
        if (failure.reason !== "busy" || attempt >= tries) throw failure;
        await new Promise((resolve) => setTimeout(resolve, busyPause));
      }
    }
  }
}

/**
 * The rows of `zfs list -H`.
 *
 * @throws {EnrootError} code `zfs-output` when a line has another number of columns
 */
export function parseRows<Column extends string>(
  output: string,
  columns: readonly string[],
): Row<Column>[] {
  return output.split("\n").slice(0, -1).map((line) => {
    const cells = line.split("\t");
    if (cells.length !== columns.length) {
      throw new EnrootError(
        "zfs-output",
        `zfs list printed ${cells.length} columns for ${columns.length}: '${line}'`,
      );
    }
    return Object.fromEntries(
      columns.map((column, index) => [column, cells[index] ?? ""]),
    ) as Row<Column>;
  });
}

/** The environment that `zfs` runs in, whole. */
export const zfsEnvironment: Readonly<Record<string, string>> = {
  PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
};

/**
 * The command with `zfs` as installed by the system: whatever the caller has put into PATH comes last.
 *
 * @throws {EnrootError} code `program-missing`
 */
export function withZfsPath([program = "", ...args]: readonly string[]): string[] {
  const PATH = `/usr/sbin:/sbin:/usr/local/sbin:${Deno.env.get("PATH") ?? ""}`;
  return [findProgram(program, { PATH }), ...args];
}

async function runZfs(argv: readonly string[]): Promise<string> {
  return await runBriefly(withZfsPath(argv), zfsEnvironment);
}

/** A failed command as the error of this room. @throws what is no such failure */
export function zfsError(error: unknown): ZfsError {
  if (error instanceof CommandError) return new ZfsError(error);
  throw error;
}

/** Whether every complaint is that something does not exist. */
function onlyAbsent(stderr: string): boolean {
  return stderr.trim().split("\n").every((line) =>
    /^cannot open '.*': dataset does not exist$/.test(line)
  );
}

function options(properties: Properties): string[] {
  return assignments(properties).flatMap((assignment) => ["-o", assignment]);
}

function assignments(properties: Properties): string[] {
  return Object.entries(properties).map(([name, value]) => `${name}=${value}`);
}
