/** Fail unless `expression` is truthy. */
export function assert(expression: unknown, message?: string): asserts expression;
/** Fail unless both are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, message?: string): void;
/** Fail when both are deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, message?: string): void;
/** Fail unless both are the same value. */
export function assertStrictEquals<T>(actual: unknown, expected: T, message?: string): void;
/** Fail on `null` and `undefined`. */
export function assertExists<T>(actual: T, message?: string): asserts actual is NonNullable<T>;
/** Fail unless `actual` holds the text. */
export function assertStringIncludes(actual: string, expected: string, message?: string): void;
/** Fail unless `actual` matches. */
export function assertMatch(actual: string, expected: RegExp, message?: string): void;
/** Fail when `actual` matches. */
export function assertNotMatch(actual: string, expected: RegExp, message?: string): void;
/** Fail unless `actual` holds all of `expected`. */
export function assertArrayIncludes<T>(
  actual: ArrayLike<T>,
  expected: ArrayLike<T>,
  message?: string,
): void;
/** Fail unless `actual` holds at least the properties of `expected`. */
export function assertObjectMatch(
  // deno-lint-ignore no-explicit-any
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  message?: string,
): void;
/** Fail unless `actual` is an instance of the class. */
export function assertInstanceOf<T>(
  actual: unknown,
  // deno-lint-ignore no-explicit-any
  expected: abstract new (...args: any[]) => T,
  message?: string,
): asserts actual is T;
/** Fail unless `actual > expected`. */
export function assertGreater<T>(actual: T, expected: T, message?: string): void;
/** Fail unless `actual < expected`. */
export function assertLess<T>(actual: T, expected: T, message?: string): void;
/** Fail unless `actual <= expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, message?: string): void;
/** Fail unless `fn` throws such an error; the error is returned. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  // deno-lint-ignore no-explicit-any
  type?: abstract new (...args: any[]) => E,
  includes?: string,
  message?: string,
): E;
/** Fail unless the promise of `fn` rejects with such an error; the error is returned. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  // deno-lint-ignore no-explicit-any
  type?: abstract new (...args: any[]) => E,
  includes?: string,
  message?: string,
): Promise<E>;
/** Fail at once. */
export function fail(message?: string): never;
