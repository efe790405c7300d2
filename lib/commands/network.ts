/**
 * What the configuration says of the network.
 *
 * @module
 */

import type { Config } from "../config/config.ts";
import type { RegistrySettings } from "../source/options.ts";

/** The keys that the runtime's own client of HTTP reads from the environment of this process. */
const networkKeys: readonly string[] = [
  ...["SSL_CERT_FILE", "http_proxy", "https_proxy", "all_proxy", "no_proxy"],
];

/**
 * Have the proxies and authorities of the configuration used, by all requests of this process.
 *
 * To be called before the first one: the runtime reads them once. Programs that are run get the
 * caller's environment, and see nothing of it.
 *
 * @param variables those of the configuration, in which the environment has won already
 */
export function useNetworkSettings(variables: Readonly<Record<string, string>>): void {
  for (const key of networkKeys) {
    const value = variables[key];
    // A variable that is set in upper case is the environment's word on it as well.
    if (value === undefined || Deno.env.get(key.toUpperCase())) continue;
    Deno.env.set(key, value);
  }
}

/** Where users and sites say how registries are reached: the user's folders come first. */
export function registrySettings(
  environment: Readonly<Record<string, string>>,
  { configPath, sysconfPath, variables }: Pick<Config, "configPath" | "sysconfPath" | "variables">,
): RegistrySettings {
  // The runtime itself only knows the file.
  const folders = variables["SSL_CERT_DIR"]?.split(":").filter((folder) => folder !== "");
  return {
    ...(folders === undefined ? {} : { authorityFolders: folders }),
    credentialsFile: `${configPath}/.credentials`,
    certsFolders: [
      `${configPath}/certs.d`,
      `${sysconfPath}/certs.d`,
      "/etc/containerd/certs.d",
      "/etc/containers/certs.d",
      "/etc/docker/certs.d",
    ],
    environment,
  };
}
