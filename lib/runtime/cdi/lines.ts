/**
 * What CDI devices ask for as lines of fstab and of an environment file.
 *
 * Everything becomes a mount. Other runtimes run programs that a specification names, as root of the
 * container, to make links and to renew the cache of libraries in a root folder that an image made; here
 * nothing is run, and nothing in the container is written: libraries go where the container's loader
 * looks anyway, under every name that they have outside.
 *
 * @module
 */

import { EnrootError } from "../../errors.ts";
import type { ChosenEdits } from "./devices.ts";
import type { ContainerEdits } from "./spec.ts";

/** What is asked of the host and of the container. */
export interface CdiPlaces {
  /** Whether the host has a file, folder or device. */
  exists(hostPath: string): boolean;
  /** The names of symlinks next to a file of the host that lead to it. */
  namesOf(hostPath: string): readonly string[];
  /** Whether the container has a folder. */
  isFolder(containerPath: string): boolean;
}

/** What a container gets. */
export interface CdiLines {
  /** Lines of fstab(5), without line ends. */
  readonly mounts: readonly string[];
  /** `NAME=VALUE`. */
  readonly environment: readonly string[];
  /** What is not done, in sentences. */
  readonly warnings: readonly string[];
}

/** Of NVIDIA's hooks: what the mounts make unnecessary, or what only a runtime that is root does. */
const needless: readonly string[] = [
  ...["update-ldcache", "create-soname-symlinks", "enable-cuda-compat", "chmod"],
  "disable-device-node-modification",
];

const machine = Deno.build.arch === "aarch64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";

/** Where loaders look without a cache: Debian's first, which has the others too, for other things. */
const libraryFolders: readonly string[] = [`/usr/lib/${machine}`, "/usr/lib64", "/usr/lib"];
const hostLibraryFolder = new RegExp(`^(?:/usr)?/lib(?:/${machine}|64)?(?=/)`);
const library = /\.so(?:\.[0-9.]+)?$/;

/**
 * The lines for devices.
 *
 * @throws {EnrootError} code `cdi-missing` when the host lacks what a specification names: it was made
 * for another driver
 */
export function cdiLines(chosen: readonly ChosenEdits[], places: CdiPlaces): CdiLines {
  const mounts = new Map<string, string>();
  const environment = new Set<string>();
  const warnings = new Set<string>();
  const folder = libraryFolders.find((path) => places.isFolder(path)) ?? "/usr/lib";
  const cached = new Set(chosen.flatMap(({ edits }) => cachedFolders(edits)));
  /** Where a path of a specification is in the container. */
  const placed = (path: string): string => {
    if (!library.test(path)) return path;
    return cached.has(parentOf(path))
      ? `${folder}${path.slice(path.lastIndexOf("/"))}`
      : path.replace(hostLibraryFolder, folder);
  };
  const need = (hostPath: string, spec: string): void => {
    if (places.exists(hostPath)) return;
    throw new EnrootError(
      "cdi-missing",
      `${hostPath}, which ${spec} names, is missing on this machine: load the driver, or, when that ` +
        `was changed, make the specification again: nvidia-ctk cdi generate --output=${spec}`,
    );
  };
  /** The host's files by where they are in the container. */
  const sources = new Map<string, string>();
  const mount = (source: string, target: string, options: string): void => {
    if (!mounts.has(target)) {
      mounts.set(target, `${field(source)} ${field(target)} none ${options}`);
    }
  };
  const bind = (source: string, target: string, options: string): void => {
    sources.set(target, source);
    mount(source, target, `x-create=auto,${options}`);
  };

  for (const { path: spec, edits } of chosen) {
    for (const { path, hostPath = path } of edits.deviceNodes ?? []) {
      need(hostPath, spec);
      sources.set(path, hostPath);
      mount(hostPath, path, "x-create=file,bind,nosuid,noexec");
    }
    for (const { hostPath, containerPath, type, options = [] } of edits.mounts ?? []) {
      if (type !== undefined && !["", "none", "bind"].includes(type)) {
        warnings.add(`${spec}: ${containerPath} is not mounted: it is of the type ${type}`);
        continue;
      }
      need(hostPath, spec);
      const words = ["rbind", "nosuid", "nodev", ...options.filter((word) => isKept(word))];
      const target = placed(containerPath);
      bind(hostPath, target, words.join(","));
      if (!library.test(containerPath)) continue;
      for (const name of places.namesOf(hostPath)) {
        bind(hostPath, `${parentOf(target)}/${name}`, words.join(","));
      }
    }
    for (const line of edits.env ?? []) environment.add(line.replaceAll("${", "${ENROOT_DOLLAR}{"));
  }
  // After all files are known: links lead to them.
  for (const { path: spec, edits } of chosen) {
    for (const { args = [], path } of edits.hooks ?? []) {
      const action = args[1] ?? "";
      if (action === "create-symlinks") {
        for (const [target, link] of linksOf(args)) {
          const place = placed(link);
          const source = sources.get(placed(resolve(parentOf(link), target)));
          if (source !== undefined) bind(source, place, "rbind,nosuid,ro");
        }
      } else if (!needless.includes(action)) {
        warnings.add(`${spec}: the hook '${[path, ...args.slice(1)].join(" ")}' is not run`);
      }
    }
  }
  return { mounts: [...mounts.values()], environment: [...environment], warnings: [...warnings] };
}

/** Options that mean something for a mount of this kind; devices and set-id programs stay off. */
function isKept(word: string): boolean {
  return ["ro", "noexec", "private", "rprivate", "slave", "rslave"].includes(word);
}

/** The values of an option, as words of their own or joined by `=`. */
function valuesOf(args: readonly string[], option: string): string[] {
  return args.flatMap((word, index) => {
    if (args[index - 1] === option) return [word];
    return word.startsWith(`${option}=`) ? [word.slice(option.length + 1)] : [];
  });
}

/** The values of `--link`: `TARGET::LINK`. */
function linksOf(args: readonly string[]): [target: string, link: string][] {
  return valuesOf(args, "--link").flatMap((text) => {
    const [target, link] = text.split("::", 2);
    return target && link?.startsWith("/") ? [[target, link] as [string, string]] : [];
  });
}

/** The folders whose libraries a cache would have made known: they have to be where no cache is needed. */
function cachedFolders({ hooks = [] }: ContainerEdits): string[] {
  return hooks.flatMap(({ args = [] }) =>
    args[1] === "update-ldcache" ? valuesOf(args, "--folder") : []
  );
}

/** Where a link's target is; nothing here is looked up. */
function resolve(folder: string, target: string): string {
  const parts: string[] = [];
  for (const part of (target.startsWith("/") ? target : `${folder}/${target}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

/** A path as a field of fstab(5), with nothing in it to be replaced. */
function field(path: string): string {
  return path
    .replaceAll(
      /[ \t-\r\\#]/g,
      (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`,
    )
    .replaceAll("${", "${ENROOT_DOLLAR}{");
}
