/**
 * A real registry: Debian's docker-registry on 127.0.0.1, on a port that it finds itself.
 *
 * @module
 */

import { end, spawn } from "./command.ts";

/** A registry at work. Disposing of it stops it and removes what it stored. */
export interface Registry extends AsyncDisposable {
  /** Its port on 127.0.0.1. */
  readonly port: number;
  /** The folder that it stores things in. */
  readonly data: string;
}

/** How long it may take to listen, in milliseconds. */
const patience = 20_000;

/** Files of a certificate for 127.0.0.1 and its key. */
export interface Tls {
  readonly certificate: string;
  readonly key: string;
  /** Authorities of clients: who has no certificate of one of them is refused. */
  readonly clientcas?: readonly string[];
}

/** What a registry can be besides open to all and alone. */
export interface RegistryOptions {
  /** Its configuration's section `auth`; absent: it asks nobody who he is. */
  readonly auth?: Readonly<Record<string, unknown>>;
  /** The folder of another registry to share; absent: one of its own. */
  readonly data?: string;
  /** Where it redirects to for blobs: the path in {@linkcode Registry.data} is put behind it. */
  readonly blobStore?: string;
}

/**
 * Start a registry, which speaks plain http or, with a certificate, https.
 *
 * @throws {Error} with what it said when it does not come up
 */
export async function startRegistry(tls?: Tls, more: RegistryOptions = {}): Promise<Registry> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "zenroot-registry-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const data = more.data ?? `${folder}/data`;
  await Deno.writeTextFile(
    `${folder}/config.yml`,
    JSON.stringify({
      version: "0.1",
      log: { accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: data }, delete: { enabled: true } },
      http: { addr: "127.0.0.1:0", ...(tls === undefined ? {} : { tls }) },
      ...(more.auth === undefined ? {} : { auth: more.auth }),
      ...(more.blobStore === undefined ? {} : {
        middleware: { storage: [{ name: "redirect", options: { baseurl: more.blobStore } }] },
      }),
    }),
  );

  const child = spawn(["docker-registry", "serve", `${folder}/config.yml`], {
    env: { OTEL_TRACES_EXPORTER: "none" },
  });
  const log = new Log(child);
  stack.defer(async () => {
    end(child, "SIGKILL");
    await Promise.all([child.status, log.end]);
  });
  const port = Number(await log.find(/listening on 127\.0\.0\.1:(\d+)/));
  const kept = stack.move();
  return { port, data, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** What a registry prints; read to the end, so that it never waits for a reader. */
class Log {
  /** Settles when the registry has ended. */
  readonly end: Promise<unknown>;
  #text = "";

  constructor(child: Deno.ChildProcess) {
    this.end = Promise.all([child.stdout, child.stderr].map(async (stream) => {
      for await (const text of stream.pipeThrough(new TextDecoderStream())) {
        if (this.#text.length < 10_000) this.#text += text;
      }
    }));
  }

  /** The first group of a pattern, once it is printed. */
  async find(pattern: RegExp): Promise<string> {
    let ended = false;
    this.end.then(() => ended = true);
    for (const deadline = Date.now() + patience; Date.now() < deadline && !ended;) {
      const [, group] = pattern.exec(this.#text) ?? [];
      if (group !== undefined) return group;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`docker-registry did not come up:\n${this.#text.trim()}`);
  }
}
