import { assertEquals, assertRejects } from "@std/assert";
import { EnrootError } from "../errors.ts";
import { noSuchTemplate } from "../storage/container_errors.ts";
import { useTemplate } from "./use_template.ts";

/** Templates that say what happens to them. */
function templates(): {
  readonly log: string[];
  obtain: () => Promise<{ id: string } & AsyncDisposable>;
} {
  const log: string[] = [];
  let count = 0;
  return {
    log,
    obtain: () => {
      const id = String(++count);
      log.push(`obtain ${id}`);
      return Promise.resolve({
        id,
        [Symbol.asyncDispose]: () => Promise.resolve(void log.push(`let go of ${id}`)),
      });
    },
  };
}

Deno.test("a template that is gone when it is to be used is obtained again", async () => {
  const { log, obtain } = templates();
  await useTemplate(obtain, ({ id }) => {
    log.push(`use ${id}`);
    return id === "2" ? Promise.resolve() : Promise.reject(noSuchTemplate(id));
  });
  assertEquals(log, [
    ...["obtain 1", "use 1", "let go of 1"],
    ...["obtain 2", "use 2", "let go of 2"],
  ]);
});

Deno.test("it is not tried for ever, and not for another reason", async () => {
  const { log, obtain } = templates();
  const error = await assertRejects(
    () => useTemplate(obtain, ({ id }) => Promise.reject(noSuchTemplate(id))),
    EnrootError,
  );
  assertEquals([error.code, log.length], ["no-template", 6]);
  await assertRejects(
    () => useTemplate(obtain, () => Promise.reject(new EnrootError("exists", "taken"))),
    EnrootError,
    "taken",
  );
  assertEquals(log.length, 8);
});
