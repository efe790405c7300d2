/**
 * What registries are told of who asks.
 *
 * @module
 */

/** A secret. It never goes into a message. */
export type Credential =
  | { readonly kind: "password"; readonly user: string; readonly password: string }
  /** What a token server gave at a login, to be exchanged for tokens. */
  | { readonly kind: "identity-token"; readonly token: string };

/** A secret with where it was found, for messages. */
export interface FoundCredential {
  readonly credential: Credential;
  /** File and entry, or helper. */
  readonly source: string;
}

/** The outcome of a search. */
export interface CredentialSearch {
  readonly found?: FoundCredential;
  /** Where it was looked, for messages. */
  readonly looked: readonly string[];
}

/** How a request was made, for the explanation of a refusal: no secret is in it. */
export function describeSearch({ found, looked }: CredentialSearch, host: string): string {
  if (found === undefined) {
    return looked.length === 0
      ? "asked without credentials"
      : `asked without credentials: there are none for ${host} in ${looked.join(", ")}`;
  }
  const { credential, source } = found;
  return credential.kind === "password"
    ? `asked as '${credential.user}' with the password of ${source}`
    : `asked with the identity token of ${source}`;
}
