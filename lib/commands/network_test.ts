import { assertEquals } from "@std/assert";
import { useNetworkSettings } from "./network.ts";

Deno.test("what the configuration says of the network reaches the runtime, unless the caller did", () => {
  const names = ["SSL_CERT_FILE", "https_proxy", "HTTPS_PROXY", "no_proxy", "ENROOT_X"];
  const before = names.map((name) => Deno.env.get(name));
  try {
    for (const name of names) Deno.env.delete(name);
    Deno.env.set("HTTPS_PROXY", "http://caller");
    useNetworkSettings({
      SSL_CERT_FILE: "/file",
      https_proxy: "http://file",
      no_proxy: "here",
      ENROOT_X: "x",
    });
    assertEquals(names.map((name) => Deno.env.get(name)), [
      ...["/file", undefined, "http://caller", "here", undefined],
    ]);
  } finally {
    for (const [index, name] of names.entries()) {
      const value = before[index];
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
});
