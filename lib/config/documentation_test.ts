import { assertEquals } from "@std/assert";
import { loadConfig } from "./config.ts";
import { ignoredKeys, isAllowedKey, keys } from "./keys.ts";

const top = new URL("../../", import.meta.url);
const text = await Deno.readTextFile(new URL("docs/configuration.md", top));
const sample = await Deno.readTextFile(new URL("packaging/etc/enroot.conf", top));

Deno.test("docs/configuration.md lists every key with its default, and no other", () => {
  const rows = [...text.matchAll(/^\| `(ENROOT_[A-Z_]+)` *\| (.*?) *\|/gm)];
  const documented = rows.map(([, key, shown]) => [key, shown?.replaceAll("`", "")]);
  const known = Object.entries(keys).map(([key, { shown }]) => [key, shown]);
  const byKey = (a: unknown[], b: unknown[]): number => String(a[0]) < String(b[0]) ? -1 : 1;
  assertEquals(documented.toSorted(byKey), known.toSorted(byKey));
});

Deno.test("docs/configuration.md names the keys that are accepted and ignored", () => {
  for (const key of ignoredKeys) {
    assertEquals([text.includes(`\`${key}\``), isAllowedKey(key)], [true, true]);
  }
});

Deno.test("packaging/etc/enroot.conf has every key once, all commented out", () => {
  const named = [...sample.matchAll(/^#([A-Za-z_]+)(?: .*)?$/gm)].map(([, key = ""]) => key);
  const own = named.filter((key) => key.startsWith("ENROOT_"));
  assertEquals(own.toSorted(), Object.keys(keys).toSorted());
  assertEquals(named.filter((key) => !isAllowedKey(key)), []);
  const inForce = sample.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  assertEquals(inForce, []);
});

Deno.test("packaging/etc/enroot.conf says what the defaults are: with its lines in force nothing changes", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (
      const more of [{ XDG_RUNTIME_DIR: "/usr" }, { XDG_CACHE_HOME: "/c", TMPDIR: "/t" }]
    ) {
      const environment = {
        HOME: "/home/u",
        PATH: "/usr/bin:/bin",
        ENROOT_SYSCONF_PATH: folder,
        XDG_RUNTIME_DIR: "/run",
        ...more,
      };
      await Deno.writeTextFile(`${folder}/enroot.conf`, sample);
      const { variables: _, ...defaults } = await loadConfig({ environment });
      const lines = sample.replaceAll(/^#(?=[A-Za-z_]+(?: |$))/gm, "");
      await Deno.writeTextFile(`${folder}/enroot.conf`, lines);
      const { variables, ...inForce } = await loadConfig({ environment });
      assertEquals(inForce, defaults);
      // It was the lines that said so: this one is written otherwise than its default.
      assertEquals(variables["ENROOT_TEMPLATE_PRESSURE_THRESHOLD"], "80");
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
