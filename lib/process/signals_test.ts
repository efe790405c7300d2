import { assert, assertEquals, assertRejects } from "@std/assert";
import { withTermination } from "./signals.ts";

const listened = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** A program that works until it is told to end, and then cleans up for a while. */
class Worker implements AsyncDisposable {
  readonly #script: string;
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  #said = "";

  private constructor(script: string, child: Deno.ChildProcess) {
    this.#script = script;
    this.#child = child;
    this.#lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /**
   * @param atEnd what the work does in the end
   * @param ignored shell words for signals that are ignored, and the launcher's mask of them
   */
  static async start(atEnd: string, ignored = { words: "", mask: "0" }): Promise<Worker> {
    const script = await Deno.makeTempFile({ suffix: ".ts" });
    const module = new URL("signals.ts", import.meta.url).href;
    await Deno.writeTextFile(
      script,
      `import { endBySignal, TerminatedBySignal, withTermination } from "${module}";
      const pause = (ms: number): Promise<void> => new Promise((go) => setTimeout(go, ms));
      try {
        await withTermination(async (signal) => {
          console.log("working");
          const told = Promise.withResolvers<void>();
          signal.addEventListener("abort", () => told.resolve());
          await Promise.race([told.promise, pause(1000)]);
          console.log("cleaning");
          ${atEnd}
        });
        console.log("done");
      } catch (error) {
        if (error instanceof TerminatedBySignal) endBySignal(error);
        throw error;
      }`,
    );
    const trap = ignored.words === "" ? "" : `trap '' ${ignored.words}; `;
    const child = new Deno.Command("sh", {
      args: ["-c", `${trap}exec "$@"`, "sh", Deno.execPath(), "run", "-A", "--no-check", script],
      env: { ENROOT_CALLER_STATE: `1;1024;${ignored.mask};enroot;/x` },
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const worker = new Worker(script, child);
    await worker.said("working");
    return worker;
  }

  /** Wait until it has said something. */
  async said(word: string): Promise<void> {
    while (!this.#said.includes(word)) {
      const { done, value } = await this.#lines.read();
      if (done) throw new Error(`it ended after: ${this.#said}`);
      this.#said += value;
    }
  }

  send(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Its end: the signal or exit code, and the last thing it said. */
  async end(): Promise<[how: Deno.Signal | number, last: string | undefined]> {
    const { signal, code } = await this.#child.status;
    for (let part = await this.#lines.read(); !part.done; part = await this.#lines.read()) {
      this.#said += part.value;
    }
    return [signal ?? code, this.#said.trim().split("\n").at(-1)];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#child.status;
    await this.#lines.cancel();
    await Deno.remove(this.#script);
  }
}

for (const signal of listened) {
  Deno.test(`${signal} lets the work clean up, and ends the process as that signal does`, async () => {
    await using worker = await Worker.start(`await pause(100); console.log("cleaned");`);
    worker.send(signal);
    assertEquals(await worker.end(), [signal, "cleaned"]);
  });
}

Deno.test("a second signal does not stop the clean-up, and the first is the one that counts", async () => {
  await using worker = await Worker.start(`await pause(300); console.log("cleaned");`);
  worker.send("SIGTERM");
  await worker.said("cleaning");
  worker.send("SIGINT");
  assertEquals(await worker.end(), ["SIGTERM", "cleaned"]);
});

Deno.test("a third signal ends the process at once, as that signal does", async () => {
  await using worker = await Worker.start(`await pause(60_000); console.log("cleaned");`);
  const began = performance.now();
  worker.send("SIGTERM");
  await worker.said("cleaning");
  for (const signal of ["SIGHUP", "SIGINT"] as const) {
    // Two that arrive together may be delivered in any order.
    await new Promise((resolve) => setTimeout(resolve, 100));
    worker.send(signal);
  }
  assertEquals(await worker.end(), ["SIGINT", "cleaning"]);
  assert(performance.now() - began < 30_000);
});

for (const atEnd of [`throw new Error("another");`, `return;`]) {
  Deno.test(`after a signal, work that ends with ${atEnd} ends by the signal`, async () => {
    await using worker = await Worker.start(atEnd);
    worker.send("SIGHUP");
    assertEquals(await worker.end(), ["SIGHUP", "cleaning"]);
  });
}

Deno.test("a signal that the caller ignored stays ignored, the others do not", async () => {
  const ignored = { words: "HUP INT", mask: "3" };
  await using deaf = await Worker.start("", ignored);
  deaf.send("SIGHUP");
  deaf.send("SIGINT");
  assertEquals(await deaf.end(), [0, "done"]);
  await using worker = await Worker.start("", ignored);
  worker.send("SIGTERM");
  assertEquals(await worker.end(), ["SIGTERM", "cleaning"]);
});

Deno.test("without a signal, what the work returns or throws comes through", async () => {
  assertEquals(await withTermination(() => Promise.resolve(3)), 3);
  await assertRejects(
    () => withTermination(() => Promise.reject(new Error("mine"))),
    Error,
    "mine",
  );
});
