/**
 * Every key of the configuration: how it is written, what it is by default, and what it is for.
 *
 * @module
 */

import * as value from "./values.ts";

/** Facts that defaults are computed from. */
export interface Defaults {
  readonly runtimePath: string;
  readonly configPath: string;
  readonly cachePath: string;
  readonly dataPath: string;
  readonly tempPath: string;
  readonly processors: number;
}

/** One key. */
export interface Key<T = unknown> {
  /** Its name in the {@linkcode Config} object. */
  readonly property: string;
  readonly parse: value.Parser<T>;
  /** The value when it is not set; `undefined` stands for "not set". */
  readonly fallback: (defaults: Defaults) => T | undefined;
  /** How the default is written in the documentation. */
  readonly shown: string;
}

function key<const P extends string, T, D extends T | undefined>(
  property: P,
  parse: value.Parser<T>,
  shown: string,
  fallback: (defaults: Defaults) => D,
): {
  property: P;
  parse: value.Parser<T>;
  shown: string;
  fallback: (defaults: Defaults) => D;
} {
  return { property, parse, shown, fallback };
}

const off = (): false => false;
const unset = (): undefined => undefined;
const { flag } = value;

/** The keys by name. */
export const keys = {
  ENROOT_SYSCONF_PATH: key("sysconfPath", value.path, "/etc/enroot", () => "/etc/enroot"),
  ENROOT_RUNTIME_PATH: key(
    "runtimePath",
    value.path,
    "${XDG_RUNTIME_DIR:-/run}/enroot",
    ({ runtimePath }) => runtimePath,
  ),
  ENROOT_CONFIG_PATH: key(
    "configPath",
    value.path,
    "${XDG_CONFIG_HOME:-${HOME}/.config}/enroot",
    ({ configPath }) => configPath,
  ),
  ENROOT_CACHE_PATH: key(
    "cachePath",
    value.path,
    "${XDG_CACHE_HOME:-${HOME}/.cache}/enroot",
    ({ cachePath }) => cachePath,
  ),
  ENROOT_DATA_PATH: key(
    "dataPath",
    value.path,
    "${XDG_DATA_HOME:-${HOME}/.local/share}/enroot",
    ({ dataPath }) => dataPath,
  ),
  ENROOT_TEMP_PATH: key("tempPath", value.path, "${TMPDIR:-/tmp}", ({ tempPath }) => tempPath),
  ENROOT_SQUASH_OPTIONS: key(
    "squashOptions",
    value.words,
    "-comp lzo -noD -exit-on-error",
    () => Object.freeze(["-comp", "lzo", "-noD", "-exit-on-error"]),
  ),
  ENROOT_MAX_PROCESSORS: key(
    "maxProcessors",
    value.processors,
    "the number of processors",
    ({ processors }) => processors,
  ),
  ENROOT_MAX_CONNECTIONS: key("maxConnections", value.count, "10", () => 10),
  ENROOT_CONNECT_TIMEOUT: key("connectTimeoutSeconds", value.count, "30", () => 30),
  ENROOT_TRANSFER_TIMEOUT: key("transferTimeoutSeconds", value.count, "0", () => 0),
  ENROOT_TRANSFER_RETRIES: key("transferRetries", value.count, "0", () => 0),
  ENROOT_LOGIN_SHELL: key("loginShell", flag, "yes", () => true),
  ENROOT_ALLOW_SUPERUSER: key("allowSuperuser", flag, "no", off),
  ENROOT_ALLOW_HTTP: key("allowHttp", flag, "no", off),
  ENROOT_ROOTFS_WRITABLE: key("rootfsWritable", flag, "no", off),
  ENROOT_REMAP_ROOT: key("remapRoot", flag, "no", off),
  ENROOT_MOUNT_HOME: key("mountHome", flag, "no", off),
  ENROOT_RESTRICT_DEV: key("restrictDev", flag, "no", off),
  ENROOT_FORCE_OVERRIDE: key("forceOverride", flag, "no", off),
  ENROOT_BUNDLE_ALL: key("bundleAll", flag, "no", off),
  ENROOT_BUNDLE_CHECKSUM: key("bundleChecksum", flag, "no", off),
  ENROOT_UNSHARE_NET: key("unshareNet", flag, "no", off),
  ENROOT_UNSHARE_PID: key("unsharePid", flag, "no", off),
  ENROOT_UNSHARE_IPC: key("unshareIpc", flag, "no", off),
  ENROOT_UNSHARE_UTS: key("unshareUts", flag, "no", off),
  ENROOT_NATIVE_OVERLAYFS: key("nativeOverlayfs", flag, "yes", () => true),
  ENROOT_STORAGE_BACKEND: key(
    "storageBackend",
    value.oneOf(["dir", "zfs"], "dir or zfs"),
    "dir",
    () => "dir" as const,
  ),
  ENROOT_TEMPLATE_WARM_SECONDS: key(
    "templateWarmSeconds",
    value.secondsOrForever,
    "604800",
    () => 604_800,
  ),
  ENROOT_TEMPLATE_PRESSURE_THRESHOLD: key(
    "templatePressureThreshold",
    value.share,
    "80",
    () => 0.8,
  ),
  ENROOT_ZFS_IMPORT_FORMAT: key(
    "zfsImportFormat",
    value.oneOf(["pointer", "squashfs"], "pointer or squashfs"),
    "pointer",
    () => "pointer" as const,
  ),
  ENROOT_ZFS_LAYER_CHAIN: key("zfsLayerChain", flag, "no", off),
  ENROOT_CACHE_MAX_SIZE: key("cacheMaxSize", value.bytes, "no limit", unset),
  ENROOT_MAX_LAYER_SIZE: key("maxLayerSize", value.bytes, "no limit", unset),
  ENROOT_MAX_INFLATE_RATIO: key("maxInflateRatio", value.ratio, "no limit", unset),
  ENROOT_TEMPLATE_STORE: key("templateStore", value.text, "unset", unset),
  ENROOT_LOG_LEVEL: key(
    "logLevel",
    value.oneOf(["debug", "info", "warn", "warning", "error"], "debug, info, warning or error"),
    "info",
    () => "info" as const,
  ),
  ENROOT_DEBUG: key("debug", flag, "no", off),
} as const;

/** A key's name. */
export type KeyName = keyof typeof keys;

/** The values of all keys, by their property names. */
export type Values = {
  readonly [N in KeyName as (typeof keys)[N]["property"]]:
    | Exclude<ReturnType<(typeof keys)[N]["parse"]>, value.Refusal>
    | ReturnType<(typeof keys)[N]["fallback"]>;
};

/** Keys of the bash version that mean nothing here; they are accepted, so that old files load. */
export const ignoredKeys: readonly string[] = [
  ...["ENROOT_GZIP_PROGRAM", "ENROOT_ZSTD_OPTIONS", "ENROOT_LIBRARY_PATH"],
];

/** Whether a key's value is a path. */
export function isPathKey(name: string): boolean {
  if (name === "SSL_CERT_DIR" || name === "SSL_CERT_FILE") return true;
  return Object.hasOwn(keys, name) && keys[name as KeyName].parse === value.path;
}

/** Whether a key may stand in a configuration file. */
export function isAllowedKey(name: string): boolean {
  return /^(?:ENROOT_[A-Z_]+|MELLANOX_[A-Z0-9_]+|NVIDIA_[A-Z0-9_]+)$/.test(name) ||
    ["SSL_CERT_DIR", "SSL_CERT_FILE", "all_proxy", "no_proxy", "http_proxy", "https_proxy"]
      .includes(name);
}
