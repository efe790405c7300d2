import { assert, assertEquals, assertRejects } from "@std/assert";
import { EnrootError } from "../../errors.ts";
import { DigestMismatchError } from "../../oci/digest.ts";
import { RegistryError } from "./error.ts";
import { Attempts, retrying } from "./retry.ts";

const { signal } = new AbortController();
const log = (): void => {};
const refused = (status: number): RegistryError => new RegistryError("x", status, [], 0);

const table: [what: string, error: Error, retries: number, attempts: number][] = [
  ["429", refused(429), 2, 3],
  ["503", refused(503), 1, 2],
  ["500, without retries", refused(500), 0, 1],
  ["408", refused(408), 1, 2],
  ["404", refused(404), 5, 1],
  ["401", refused(401), 5, 1],
  ["a broken connection", new EnrootError("unreachable", "x"), 1, 2],
  ["wrong bytes", new DigestMismatchError("x", "a", "b"), 5, 1],
  ["a defect", new TypeError("x"), 5, 1],
];
for (const [what, error, retries, attempts] of table) {
  Deno.test(`${what}: ${attempts} attempt(s) with ${retries} retries`, async () => {
    let count = 0;
    const work = (): Promise<never> => {
      count++;
      return Promise.reject(error);
    };
    assertEquals(await assertRejects(() => retrying(work, { retries, log }, signal)), error);
    assertEquals(count, attempts);
  });
}

Deno.test("the waiting between two attempts ends with the signal", async () => {
  const abort = new AbortController();
  const reason = new Error("stopped");
  setTimeout(() => abort.abort(reason), 50);
  const began = performance.now();
  const work = (): Promise<never> => Promise.reject(new RegistryError("x", 429, [], 20_000));
  const error = await assertRejects(() => retrying(work, { retries: 3, log }, abort.signal));
  assertEquals(error, reason);
  assert(performance.now() - began < 15_000);
});

Deno.test("what succeeds at last is the result, and each failure is told", async () => {
  const told: string[] = [];
  let count = 0;
  const work = (): Promise<string> =>
    ++count < 3 ? Promise.reject(refused(503)) : Promise.resolve("done");
  const policy = { retries: 5, log: (_: string, message: string) => void told.push(message) };
  assertEquals(await retrying(work, policy, signal), "done");
  assertEquals(told.length, 2);
});

Deno.test("failures after progress are not counted, and told once; those without are, in a row", async () => {
  const told: string[] = [];
  const log = (level: string, message: string): void => void told.push(`${level}: ${message}`);
  const attempts = new Attempts({ retries: 1, log }, signal);
  const cut = new EnrootError("unreachable", "cut");
  for (let count = 0; count < 3; count++) await attempts.failed(cut, true);
  await attempts.failed(cut, false);
  await attempts.failed(cut, true);
  await attempts.failed(cut, false);
  assertEquals(await assertRejects(() => attempts.failed(cut, false)), cut);
  assertEquals(told.filter((line) => line.startsWith("warning: cut; resuming")).length, 1);
  assertEquals(told.filter((line) => line.startsWith("debug: cut; resuming")).length, 3);
  assertEquals(told.filter((line) => line.startsWith("warning: cut; trying again in")).length, 2);
});

Deno.test("a registry that asks for a very long pause is told to wait no longer than a minute", async () => {
  const abort = new AbortController();
  const told: string[] = [];
  const log = (_: string, message: string): void => void told.push(message);
  const attempts = new Attempts({ retries: 1, log }, abort.signal);
  const waiting = attempts.failed(new RegistryError("x", 429, [], 3_600_000));
  abort.abort(new Error("seen"));
  await assertRejects(() => waiting, Error, "seen");
  assert(told[0]?.endsWith("; trying again in 60 s, though 3600 are asked for"), told[0]);
});
