/**
 * Functions of the C library, bound when they are first called.
 *
 * The runtime compiles a call for each function that `Deno.dlopen` names, which takes a tenth to a third
 * of a millisecond: a command calls a dozen of them, most of them once. So a function is called by its
 * address at first, which needs nothing compiled, and is compiled when it turns out to be called often.
 *
 * @module
 */

/** How often a function is called by its address: that takes a few microseconds more each time. */
const callsByAddress = 100;

/** The address of a function; not in the C library itself before glibc 2.34. */
const dlsym = ((): (name: string) => Deno.PointerObject | null => {
  const definition = { parameters: ["pointer", "buffer"], result: "pointer" } as const;
  const here = Deno.dlopen("libc.so.6", { dlsym: { ...definition, optional: true } }).symbols.dlsym;
  const call = here ?? Deno.dlopen("libdl.so.2", { dlsym: definition }).symbols.dlsym;
  // A null handle: where the program itself would find it.
  return (name) => call(null, new TextEncoder().encode(`${name}\0`));
})();

/**
 * The functions of the C library that are named.
 *
 * @param symbols as for `Deno.dlopen`; an `optional` one that is not there is `null`
 * @returns an object with a function for each, bound at its first use in this thread; it is to be taken
 * from the object for each call, because another one takes its place
 * @throws {Error} at the first use, when the library has no such function
 */
export function bindLibc<const S extends Deno.ForeignLibraryInterface>(
  symbols: S,
): Deno.DynamicLibrary<S>["symbols"] {
  const bound: Record<string, unknown> = {};
  for (const [name, definition] of Object.entries(symbols)) {
    const keep = (value: unknown): unknown => {
      Object.defineProperty(bound, name, { value, configurable: true, enumerable: true });
      return value;
    };
    Object.defineProperty(bound, name, {
      configurable: true,
      enumerable: true,
      get: () => keep(byAddress(name, definition as Deno.ForeignFunction, keep)),
    });
  }
  // Each property is what dlopen gives for its definition.
  return bound as Deno.DynamicLibrary<S>["symbols"];
}

type AnyFunction = (...args: readonly unknown[]) => unknown;

function byAddress(
  name: string,
  definition: Deno.ForeignFunction & { readonly optional?: boolean },
  replace: (value: unknown) => void,
): AnyFunction | null {
  const address = dlsym(name);
  if (address === null) {
    if (definition.optional === true) return null;
    throw new Error(`the C library has no ${name}`);
  }
  // What is at the address is what the definition says it is.
  const pointer = new Deno.UnsafeFnPointer(
    address as Deno.PointerObject<Deno.ForeignFunction>,
    definition as Deno.ForeignFunction,
  );
  const slow = pointer.call.bind(pointer) as AnyFunction;
  let calls = 0;
  return (...args) => {
    if (++calls < callsByAddress) return slow(...args);
    const { symbols } = Deno.dlopen("libc.so.6", { [name]: definition });
    const fast = symbols[name] as unknown as AnyFunction;
    replace(fast);
    return fast(...args);
  };
}
