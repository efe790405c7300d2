/**
 * Whom a package names as its maintainer.
 *
 * @module
 */

/** Nobody in particular: deb-control(5) wants an address, and `.invalid` is no one's (RFC 2606). */
export const defaultMaintainer = "The zenroot maintainers <maintainers@zenroot.invalid>";

/**
 * Who builds packages to publish them: `DEBFULLNAME` and `DEBEMAIL`, which Debian's own tools read, or nobody in
 * particular when neither is set.
 *
 * @throws {Error} when only one is, or they cannot stand in a package
 */
export function maintainerOf(environment: Readonly<Record<string, string>>): string {
  const { DEBFULLNAME: name = "", DEBEMAIL: address = "" } = environment;
  if (name === "" && address === "") return defaultMaintainer;
  // What would end a field of a control file, or a name before an address.
  if (/^[^\p{Cc}<>@,]+$/u.test(name) && /^[^\s\p{Cc}<>@,]+@[^\s\p{Cc}<>@,]+$/u.test(address)) {
    return `${name} <${address}>`;
  }
  throw new Error(
    `DEBFULLNAME is '${name}' and DEBEMAIL is '${address}': set both, to a name and an address, or neither`,
  );
}
