import { assertEquals } from "@std/assert";
import { run } from "../../tests/support/command.ts";
import { grantCapability } from "./capability.ts";

if (Deno.uid() === 0) {
  Deno.test("a capability is what getcap shows, and another program's is not touched", async () => {
    const folder = await Deno.makeTempDir();
    try {
      for (const name of ["a", "b"]) await Deno.writeTextFile(`${folder}/${name}`, "");
      grantCapability(`${folder}/a`, "CAP_SYS_ADMIN");
      assertEquals(
        await run(["getcap", `${folder}/a`, `${folder}/b`]),
        `${folder}/a cap_sys_admin=ep\n`,
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
