/**
 * The sample image: a small Debian that works, under layers that do what layers can do.
 *
 * @module
 */

import { run } from "./command.ts";
import { tarDebianBase } from "./debian_base.ts";
import { dropFromTar, listFolder, tarPaths } from "./layer_tar.ts";
import { type Compression, OciLayout, type StoredLayer } from "./oci_layout.ts";

/** What the image's config says; {@linkcode sampleLayers} explains what the layers hold. */
export const sampleConfig = {
  Env: ["PATH=/usr/local/bin:/usr/bin:/bin", "GREETING=hello from the image", "EMPTY="],
  Entrypoint: ["/opt/app/bin/entry"],
  Cmd: ["sh", "-c", "echo default command"],
  WorkingDir: "/opt/app/work dir",
  Volumes: { "/data": {} },
  Labels: { "org.example.title": "sample", "org.example.note": "two\nlines" },
} as const;

/** Runs its arguments after a line on stderr, so that a test sees it at work. */
const entry = `#!/bin/sh
echo "entry: GREETING='$GREETING' PWD='$PWD'" >&2
exec "$@"
`;

/** Each layer above the base: shell text that fills the folder it is run in. */
const steps: readonly { readonly about: string; readonly script: string }[] = [
  {
    about: "an application: every kind of file",
    script: String.raw`
      mkdir -p data opt/app/bin "opt/app/work dir" opt/app/empty opt/app/gone-dir/deep
      cd opt/app
      printf '%s' "$ENTRY" > bin/entry; chmod 755 bin/entry
      cp /bin/true bin/set-id; chmod 6755 bin/set-id
      printf gone > gone; printf x > gone-dir/deep/x; printf old > replaced; printf kept > kept
      printf 'café' > 'grüße 日本.txt'; printf n > $'new\nline'; printf b > 'back\slash'; : > zero
      printf -- d > -dash; printf w > '.wh'; printf s > $' two  spaces '
      long=$(printf 'n%.0s' $(seq 120)); mkdir -p "long/$long/$long"
      printf l > "long/$long/$long/$long"; ln -s "../$long/$long" "long/link"
      printf 1 > state; printf linked > one; ln one two; ln one three; ln one bin/four
      mkdir config config/lower-dir; printf a > config/a; printf b > config/b; printf c > config/lower-dir/c
      mkdir to-link; printf in > to-link/inside; printf file > to-dir; printf t > target
      mkdir sticky set-gid read-only; chmod 1777 sticky; chmod 2755 set-gid
      printf r > read-only/file; chmod 444 read-only/file; chmod 555 read-only
      ln -s target relative; ln -s /opt/app/target absolute; ln -s nowhere dangling; ln -s loop loop
      ln -s ../../../../../../etc/passwd climbing; mkfifo fifo
      truncate -s 1M sparse; printf end >> sparse; setfattr -n user.sample -v 'value' kept`,
  },
  {
    about: "changes: replaced files, whiteouts, an opaque folder, links to a lower layer",
    script: String.raw`
      mkdir -p opt/app/config/lower-dir/not-hidden opt/app/to-dir opt/app/new usr/bin
      printf dash > usr/bin/dash; ln usr/bin/dash usr/bin/linked-sh
      cd opt/app
      printf new > replaced; chmod 600 replaced
      printf kid > to-dir/kid; ln -s target to-link
      : > .wh.gone; : > .wh.gone-dir
      printf before > config/AAA; : > config/.wh..wh..opq; printf after > config/b
      printf u > config/lower-dir/not-hidden/u
      printf kept > kept; ln kept new/link-to-lower`,
  },
  {
    about: "more changes: a name of a hard link goes, another gets its own content",
    script: String.raw`
      mkdir -p opt/app/empty; cd opt/app
      : > .wh.one; printf own > two; printf back > gone; printf 2 > state
      chmod 700 empty; rm -rf config; mkdir config; chmod 750 config`,
  },
  { about: "one file", script: "mkdir -p opt/app; printf 1 > opt/app/state" },
  { about: "that file changed", script: "mkdir -p opt/app; printf 2 > opt/app/state" },
  { about: "nothing at all", script: "" },
  {
    about: "the one file again: the same layer twice",
    script: "mkdir -p opt/app; printf 1 > opt/app/state",
  },
];

/** What Docker and podman fail on. */
const beyondEngines = [
  ...["./opt/app/new/link-to-lower", "./usr/bin/linked-sh", "./opt/app/sparse"],
];

/** How many layers the sample image has. */
export const sampleLayers = steps.length + 1;

/**
 * Make the sample image in an OCI layout, under the tag `sample`.
 *
 * @param path the layout's folder; it must not exist
 * @param options.compression of each layer, lowest first; the last one counts for all further ones
 * @param options.forEngines without what Docker and podman cannot apply or give back: hard links to
 * files that only a layer below has, and sparse files
 * @param options.report told of each layer as it is made
 */
export async function makeSampleImage(path: string, {
  compression = ["gzip"],
  forEngines = false,
  report = () => {},
}: {
  readonly compression?: readonly Compression[];
  readonly forEngines?: boolean;
  readonly report?: (text: string) => void;
} = {}): Promise<OciLayout> {
  const scratch = await Deno.makeTempDir({ prefix: "zenroot-sample-" });
  try {
    const layout = await OciLayout.create(path);
    const layers: StoredLayer[] = [];
    const store = async (tar: string, about: string): Promise<void> => {
      const kind = compression[layers.length] ?? compression.at(-1) ?? "gzip";
      const layer = await layout.putLayer(tar, kind);
      layers.push(layer);
      const kib = Math.ceil(layer.descriptor.size / 1024);
      report(`layer ${layers.length}: ${about} (${kib} KiB, ${kind})`);
    };

    await Deno.mkdir(`${scratch}/0`);
    await tarDebianBase(`${scratch}/0.tar`, `${scratch}/0`);
    await store(`${scratch}/0.tar`, "Debian's own files");
    for (const [index, { about, script }] of steps.entries()) {
      const folder = `${scratch}/${index + 1}`;
      await makeLayer(folder, script, forEngines);
      await store(`${folder}.tar`, about);
    }
    await layout.tag("sample", await layout.putImage(layers, { config: sampleConfig }));
    return layout;
  } finally {
    // Folders without write permission are among the samples.
    await run(["chmod", "-R", "u+rwX", scratch]);
    await Deno.remove(scratch, { recursive: true });
  }
}

/** Fill a folder by a script and write it to `FOLDER.tar`. */
async function makeLayer(folder: string, script: string, forEngines: boolean): Promise<void> {
  await Deno.mkdir(folder);
  await run(["bash", "-euc", `umask 022\n${script}`], { cwd: folder, env: { ENTRY: entry } });
  await run(["find", ".", "-exec", "touch", "--no-dereference", "-d", "@1500000000.5", "{}", "+"], {
    cwd: folder,
  });
  const tar = `${folder}.tar`;
  const paths = script === "" ? [] : (await listFolder(folder))
    .filter((path) => !forEngines || !beyondEngines.includes(path));
  const mark = paths.indexOf("./opt/app/config/.wh..wh..opq");
  if (mark === -1) return await tarPaths(tar, folder, paths);

  // A mark of opaqueness hides what is below the layer, not the layer's own files before it.
  const [opaque = ""] = paths.splice(mark, 1);
  paths.splice(paths.indexOf("./opt/app/config/AAA") + 1, 0, opaque);
  await tarPaths(tar, folder, paths);
  // A hard link may point to a file that only a lower layer has.
  await dropFromTar(tar, ["./opt/app/kept", "./usr/bin/dash"]);
}
