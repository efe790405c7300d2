import { assertEquals, assertMatch } from "@std/assert";
import { checkFolders } from "./folders.ts";

Deno.test("folders that can be written are well, and none is made or left changed", async () => {
  const top = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${top}/run`, { mode: 0o700 });
    const found = checkFolders({
      dataPath: `${top}/a/b`,
      cachePath: top,
      tempPath: top,
      runtimePath: `${top}/run`,
    });
    assertEquals(found.map(({ status }) => status), ["ok", "ok", "ok", "ok"]);
    assertMatch(found[0]?.detail ?? "", /which will be made in/);
    assertEquals([...Deno.readDirSync(top)].map(({ name }) => name), ["run"]);
  } finally {
    await Deno.remove(top, { recursive: true });
  }
});

Deno.test("a folder that cannot be written names its key, and a runtime folder must be one's own", async () => {
  const top = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${top}/file`, "");
    await Deno.mkdir(`${top}/run`);
    await Deno.chmod(`${top}/run`, 0o777);
    const [data, , temporary, runtime] = checkFolders({
      dataPath: `${top}/file/x`,
      cachePath: top,
      tempPath: "/proc/enroot",
      runtimePath: `${top}/run`,
    });
    assertEquals([data?.status, temporary?.status, runtime?.status], ["fail", "fail", "fail"]);
    assertMatch(data?.remedy ?? "", /ENROOT_DATA_PATH/);
    assertMatch(temporary?.remedy ?? "", /ENROOT_TEMP_PATH/);
    assertMatch(runtime?.detail ?? "", /is not yours alone/);
  } finally {
    await Deno.remove(top, { recursive: true });
  }
});
