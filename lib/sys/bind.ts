/**
 * Functions of the C library, bound when they are first called.
 *
 * Binding one costs a sixth of a millisecond, because the runtime compiles a call for it. A command
 * uses a handful of the dozens that this room knows.
 *
 * @module
 */

/**
 * The functions of the C library that are named.
 *
 * @param symbols as for `Deno.dlopen`; an `optional` one that is not there is `null`
 * @returns an object with a function for each, bound at its first use in this thread
 * @throws {Error} at the first use, when the library has no such function
 */
export function bindLibc<const S extends Deno.ForeignLibraryInterface>(
  symbols: S,
): Deno.DynamicLibrary<S>["symbols"] {
  const bound: Record<string, unknown> = {};
  for (const [name, definition] of Object.entries(symbols)) {
    Object.defineProperty(bound, name, {
      configurable: true,
      enumerable: true,
      get() {
        const { symbols: found } = Deno.dlopen("libc.so.6", { [name]: definition });
        const value: unknown = found[name];
        Object.defineProperty(bound, name, { value, enumerable: true });
        return value;
      },
    });
  }
  // Each property is what dlopen gives for its definition.
  return bound as Deno.DynamicLibrary<S>["symbols"];
}
