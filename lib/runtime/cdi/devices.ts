/**
 * Which devices of a machine's CDI specifications are meant.
 *
 * @module
 */

import { EnrootError, reasonOf } from "../../errors.ts";
import { type CdiSpec, type ContainerEdits, parseCdiSpec } from "./spec.ts";

/** Where specifications are, lowest rank first: what is made at boot wins over what came with a package. */
export const cdiFolders: readonly string[] = ["/etc/cdi", "/var/run/cdi"];

/** What one file asks for. */
export interface ChosenEdits {
  /** The file, for messages. */
  readonly path: string;
  readonly edits: ContainerEdits;
}

/** The specifications of a machine. */
export interface CdiSpecs {
  /** Highest rank first. */
  readonly specs: readonly CdiSpec[];
  /** Files that could not be read, in sentences. */
  readonly problems: readonly string[];
}

/** Read all specifications in folders; a broken one is a problem only of who needs its devices. */
export function readCdiSpecs(folders: readonly string[] = cdiFolders): CdiSpecs {
  const specs: CdiSpec[] = [];
  const problems: string[] = [];
  for (const folder of folders.toReversed()) {
    for (const name of namesIn(folder)) {
      const path = `${folder}/${name}`;
      try {
        specs.push(parseCdiSpec(Deno.readTextFileSync(path), path));
      } catch (error) {
        problems.push(error instanceof EnrootError ? error.message : `${path}: ${reasonOf(error)}`);
      }
    }
  }
  return { specs, problems };
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name)
      .filter((name) => /\.(json|ya?ml)$/.test(name)).sort();
  } catch {
    return [];
  }
}

/**
 * What the named devices ask for: each device, then what all of its file have in common, once.
 *
 * @param kind `VENDOR/CLASS`
 * @param names separated by commas: names of devices of the kind, whole names `VENDOR/CLASS=NAME`, or `all`
 * @throws {EnrootError} code `no-cdi` when there is no device of the kind, `no-device` naming one that
 * is not there, and what there is
 */
export function chooseDevices(
  { specs, problems }: CdiSpecs,
  kind: string,
  names: string,
): ChosenEdits[] {
  const ofKind = specs.filter((spec) => spec.kind === kind);
  const trouble = problems.length === 0 ? "" : ` (${problems.join("; ")})`;
  if (ofKind.every(({ devices }) => devices.length === 0)) {
    throw new EnrootError(
      "no-cdi",
      `no CDI specification of ${kind} is in ${cdiFolders.join(" or ")}${trouble}: as root, run ` +
        "'nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml', or install nvidia-container-cli",
    );
  }
  const chosen = new Map<ContainerEdits, string>();
  const common = new Map<ContainerEdits, string>();
  for (const word of names.split(",").map((each) => each.trim()).filter((each) => each !== "")) {
    const whole = word.includes("=") ? word : `${kind}=${word}`;
    const found = devicesNamed(specs, whole);
    if (found.length === 0) {
      const there = ofKind.flatMap(({ devices }) => devices.map(({ name }) => name));
      throw new EnrootError(
        "no-device",
        `there is no device ${whole}: ${ofKind.map(({ path }) => path).join(", ")} ` +
          `has ${[...new Set(there)].join(", ")}${trouble}`,
      );
    }
    for (const { spec, edits } of found) {
      chosen.set(edits, spec.path);
      common.set(spec.containerEdits, spec.path);
    }
  }
  return [...chosen, ...common].map(([edits, path]) => ({ edits, path }));
}

interface Found {
  readonly spec: CdiSpec;
  readonly edits: ContainerEdits;
}

/** The device of a whole name; for `all`, when no device is called so, each of the kind. */
function devicesNamed(specs: readonly CdiSpec[], whole: string): Found[] {
  const [kind, wanted] = whole.split("=", 2);
  const byName = new Map<string, Found>();
  for (const spec of specs.filter((each) => each.kind === kind)) {
    for (const { name, containerEdits: edits } of spec.devices) {
      // The first one is that of the highest rank.
      if (!byName.has(name)) byName.set(name, { spec, edits });
    }
  }
  const one = byName.get(wanted ?? "");
  if (one !== undefined) return [one];
  return wanted === "all" ? [...byName.values()] : [];
}
