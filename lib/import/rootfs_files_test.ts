import { assertEquals, assertStringIncludes } from "@std/assert";
import type { ImageConfig } from "../oci/image_config.ts";
import { addEnvironmentFile } from "../runtime/environ.ts";
import { parseFstab } from "../runtime/fstab.ts";
import { rootfsFiles } from "./rootfs_files.ts";

const plain: ImageConfig = {
  os: "linux",
  architecture: "amd64",
  diffIds: [],
  env: [],
  entrypoint: [],
  cmd: [],
  workingDir: "",
  volumes: [],
  labels: {},
};

function file(name: string, config: Partial<ImageConfig>, provenance?: string): string {
  const found = rootfsFiles({ ...plain, ...config }, provenance).find((each) => each.name === name);
  if (found === undefined) throw new Error(`no file ${name}`);
  return found.content;
}

/** What /etc/rc runs, by a real shell, in a folder of its own in the place of /. */
async function runRc(config: Partial<ImageConfig>, args: string[]): Promise<string[]> {
  const text = file("rc", { workingDir: Deno.cwd(), ...config });
  const { stdout, success, stderr } = await new Deno.Command("/bin/bash", {
    args: ["-c", text, "rc", ...args],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).split("\0").slice(0, -1);
}

const hostile = ["a b", "it's", '"$HOME"', "$(id)", "`id`", "\\", "line\nend", "-n", "", "é*?[x]"];
const print = ["printf", "%s\\0"];

Deno.test("/etc/rc runs entrypoint and command with every character as the image has it", async () => {
  assertEquals(await runRc({ entrypoint: [...print, ...hostile], cmd: hostile }, []), [
    ...hostile,
    ...hostile,
  ]);
});

Deno.test("arguments take the place of the command, not of the entrypoint", async () => {
  assertEquals(await runRc({ entrypoint: [...print, "entry"], cmd: ["cmd"] }, hostile), [
    "entry",
    ...hostile,
  ]);
  assertEquals(await runRc({ cmd: ["false"] }, [...print, "x"]), ["x"]);
});

Deno.test("the command alone runs when there is no entrypoint", async () => {
  assertEquals(await runRc({ cmd: [...print, "x"] }, []), ["x"]);
});

Deno.test("an entrypoint word that looks like shell text is only a word", async () => {
  assertEquals(await runRc({ entrypoint: [...print, '"$@"'] }, ["x"]), ['"$@"', "x"]);
});

Deno.test("no entrypoint and no command means /bin/sh", () => {
  assertStringIncludes(file("rc", {}), "exec /bin/sh\n");
});

Deno.test("labels and provenance are comments, whatever they hold", () => {
  const text = file("rc", { labels: { b: "x\nrm -rf /\ry", a: "1" } }, "docker://h.example/x:y");
  assertEquals(text.split("\n").slice(0, 6), [
    "# a: 1",
    "# b: x",
    "# rm -rf /",
    "# y",
    "# enroot-provenance: docker://h.example/x:y",
    "",
  ]);
});

Deno.test("/etc/fstab has a line a volume, white space escaped", () => {
  assertEquals(
    file("fstab", { volumes: ["/var/lib/my data", "/data"] }),
    "${ENROOT_ROOTFS}/data /data none x-create=dir,bind,rw,nosuid,nodev\n" +
      "${ENROOT_ROOTFS}/var/lib/my\\040data /var/lib/my\\040data none x-create=dir,bind,rw,nosuid,nodev\n",
  );
});

Deno.test("a volume is taken literally, and none is the root folder", () => {
  const text = file("fstab", {
    volumes: ["/", "//./", "/a/..", "/v-${SECRET}", "x/../../y", "/\0", "/z\u2003z"],
  });
  const [first, second, third, ...more] = parseFstab(
    text,
    { SECRET: "s", ENROOT_ROOTFS: "/box" },
    "f",
  );
  assertEquals([first?.source, first?.target], ["/box/v-${SECRET}", "/v-${SECRET}"]);
  assertEquals([second?.source, second?.target], ["/box/y", "/y"]);
  assertEquals([third?.source, third?.target], ["/box/z\u2003z", "/z\u2003z"]);
  assertEquals(more, []);
});

Deno.test("what the image's variables hold comes out literally, whatever the host has", () => {
  const values = [
    "${SECRET}",
    "a${SECRET}b${NONE}",
    "$${SECRET}",
    "${ENROOT_DOLLAR}{A}",
    "$A ${",
    "'${A}'",
  ];
  const text = file("environment", { env: values.map((value, index) => `V${index}=${value}`) });
  assertEquals(text.includes("${SECRET}"), false);
  const environment = new Map<string, string>();
  addEnvironmentFile(environment, text, { SECRET: "s", A: "a", ENROOT_DOLLAR: "evil" });
  assertEquals([...environment.values()], values);
});

Deno.test("a variable that no program can be given is left out", () => {
  assertEquals(file("environment", { env: ["A=x\0y", "B=1"] }), "B=1\n");
});

Deno.test("/etc/environment keeps values, protects meant quotes and drops what is no line", () => {
  assertEquals(
    file("environment", {
      env: ["A=1", 'B="q"', "C=", "D=a=b c", "=x", "nothing", "E=two\nlines"],
    }),
    'A=1\nB=""q""\nC=\nD=a=b c\n',
  );
});
