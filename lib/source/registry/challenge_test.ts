import { assertEquals } from "@std/assert";
import { parseChallenges } from "./challenge.ts";

const table: [header: string, expected: [scheme: string, parameters: Record<string, string>][]][] =
  [
    [
      'Bearer realm="https://auth.example/token",service="reg.example",scope="repository:a/b:pull"',
      [["bearer", {
        realm: "https://auth.example/token",
        service: "reg.example",
        scope: "repository:a/b:pull",
      }]],
    ],
    ['Basic realm="Registry Realm"', [["basic", { realm: "Registry Realm" }]]],
    [
      'Basic realm="a", Bearer realm="b", scope=c',
      [["basic", { realm: "a" }], ["bearer", { realm: "b", scope: "c" }]],
    ],
    ['BEARER Realm = "with \\"quotes\\", and commas"', [["bearer", {
      realm: 'with "quotes", and commas',
    }]]],
    ["Negotiate", [["negotiate", {}]]],
    ["", []],
    ["=,=", []],
  ];
for (const [header, expected] of table) {
  Deno.test(`the challenges of ${JSON.stringify(header)} are read`, () => {
    assertEquals(
      parseChallenges(header).map(({ scheme, parameters }) => [
        scheme,
        Object.fromEntries(parameters),
      ]),
      expected.map(([scheme, parameters]) => [scheme, parameters]),
    );
  });
}

Deno.test("of a header that no registry would send only the beginning is read", () => {
  const [first, ...more] = parseChallenges(`Bearer realm="x",${" ".repeat(10_000_000)}=,Basic x=y`);
  assertEquals([first?.scheme, first?.parameters.get("realm"), more], ["bearer", "x", []]);
});
