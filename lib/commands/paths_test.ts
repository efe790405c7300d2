import { assertEquals } from "@std/assert";
import { imageName } from "./paths.ts";

const names: [path: string, name: string][] = [
  ["/images/ubuntu+24.04.sqsh", "ubuntu+24.04"],
  ["a.squashfs", "a"],
  ["a.sqfs", "a"],
  ["a.zfs", "a"],
  ["app-1.2", "app-1.2"],
  ["app-1.2.run", "app-1.2.run"],
  ["a.sqsh.sqsh", "a.sqsh"],
  ["a.SQSH", "a.SQSH"],
];
for (const [path, name] of names) {
  Deno.test(`the image of ${path} is called ${name}`, () => assertEquals(imageName(path), name));
}
