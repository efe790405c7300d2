import { assertEquals, assertRejects } from "@std/assert";
import { EnrootError } from "../../errors.ts";
import { openBlobBody } from "./blob_body.ts";
import { RegistryError } from "./error.ts";

const content = new TextEncoder().encode("0123456789");
const { signal } = new AbortController();

/** What a registry answers to each request, and what comes of it from offset 4 on. */
const table: [
  what: string,
  answers: (() => Response)[],
  asked: string[],
  outcome: { offset: number; text: string } | string,
][] = [
  [
    "the range that was asked for",
    [() => part("bytes 4-9/10")],
    ["bytes=4-"],
    { offset: 4, text: "456789" },
  ],
  ["all of it", [() => new Response(content)], ["bytes=4-"], { offset: 0, text: "0123456789" }],
  ...["bytes 3-9/10", "bytes 4-8/10", "bytes 4-9/11", "bytes 4-9/*", "items 4-9/10", ""].map((
    range,
  ): (typeof table)[number] => [
    `another range, '${range}'`,
    [() => part(range), () => new Response(content)],
    ["bytes=4-", ""],
    { offset: 0, text: "0123456789" },
  ]),
  [
    "that there is no such range",
    [refuse(416), () => new Response(content)],
    ["bytes=4-", ""],
    { offset: 0, text: "0123456789" },
  ],
  ["a refusal", [refuse(403)], ["bytes=4-"], "registry-403"],
  ["a range twice", [() => part("x"), () => part("bytes 4-9/10")], ["bytes=4-", ""], "bad-answer"],
  [
    "the range, and a length that is none",
    [() => part("bytes 4-9/10", "5")],
    ["bytes=4-"],
    "bad-length",
  ],
  [
    "all of it, and another length",
    [() => new Response(content, { headers: { "content-length": "6" } })],
    ["bytes=4-"],
    "bad-length",
  ],
  [
    "a length that is for what is packed",
    [() =>
      new Response(content, { headers: { "content-length": "6", "content-encoding": "gzip" } })],
    ["bytes=4-"],
    { offset: 0, text: "0123456789" },
  ],
];

function part(range: string, length?: string): Response {
  const headers = {
    "content-range": range,
    ...(length === undefined ? {} : { "content-length": length }),
  };
  return new Response(content.subarray(4), { status: 206, headers });
}

function refuse(status: number): () => Response {
  return () => {
    throw new RegistryError("x", status, []);
  };
}

for (const [what, answers, expected, outcome] of table) {
  Deno.test(`a registry that answers a request for a range with ${what}`, async () => {
    const asked: string[] = [];
    const get = (headers: Readonly<Record<string, string>>): Promise<Response> => {
      asked.push(headers["range"] ?? "");
      return Promise.resolve().then(() => answers.shift()?.() ?? new Response(null));
    };
    const question = { size: 10, what: "the blob", offset: 4, limits: { signal } };
    if (typeof outcome === "string") {
      const error = await assertRejects(() => openBlobBody(get, question), EnrootError);
      assertEquals(error.code, outcome);
    } else {
      const { offset, bytes } = await openBlobBody(get, question);
      let text = "";
      for await (const each of bytes) text += new TextDecoder().decode(each);
      assertEquals({ offset, text }, outcome);
    }
    assertEquals(asked, expected);
  });
}
