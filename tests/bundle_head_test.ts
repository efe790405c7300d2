import { assert, assertEquals, assertMatch } from "@std/assert";
import { BundleWriter } from "../lib/bundle/bundle_writer.ts";
import { attempt, type Result, run } from "./support/command.ts";

const top = new URL("../", import.meta.url).pathname;

await run(["make", "-s", "-C", `${top}helper`, "all", "sanitize"]);

/** The programs that are tried: as it is shipped, and with sanitizers. */
const heads = {
  "as it is shipped": `${top}helper/build/enroot-bundle`,
  "with sanitizers": `${top}helper/build/sanitize/enroot-bundle`,
};

const namesIn = (folder: string): string[] => [...Deno.readDirSync(folder)].map(({ name }) => name);

/** @throws {Error} when it does not become true within ten seconds */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 10_000; !await isSo();) {
    if (performance.now() > end) throw new Error("it has not become so in ten seconds");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

type Bytes = Uint8Array<ArrayBuffer>;

/** Files whose bytes deflate in each of the ways there are. */
function samples(): Record<string, Bytes> {
  const random = new Uint8Array(200_000);
  for (let at = 0; at < random.length; at += 50_000) {
    crypto.getRandomValues(random.subarray(at, at + 50_000));
  }
  const words = Array.from({ length: 60_000 }, (_, i) => `${(i * i) % 977} line ${i % 13}\n`).join(
    "",
  );
  const few = new Uint8Array(100_000).map((_, i) => random[i] === 7 ? 1 : 0);
  // Matches of all lengths, near and as far away as they can be.
  const far = new Uint8Array(300_000);
  for (let at = 0, from = 0; at < far.length; from = (from + 37) % 9000) {
    far.set(random.subarray(from, from + at % 300 + 1).subarray(0, far.length - at), at);
    at += at % 300 + 1;
  }
  return {
    "empty": new Uint8Array(),
    "one": new Uint8Array([65]),
    "short": new TextEncoder().encode("a short text, a short text"),
    "zeros": new Uint8Array(1_000_000),
    "random": random,
    "deep/er/words.txt": new TextEncoder().encode(words),
    "few": few,
    "far": far,
  };
}

/** A bundle whose program is shell text, in a folder of its own. */
class Sample implements AsyncDisposable {
  private constructor(
    readonly folder: string,
    readonly path: string,
    readonly files: Readonly<Record<string, Bytes>>,
  ) {}

  static async make(head: string, text: string, isChecked = false): Promise<Sample> {
    const folder = await Deno.makeTempDir();
    const sample = new Sample(folder, `${folder}/it.run`, samples());
    await Deno.mkdir(sample.temp);
    {
      using file = await Deno.open(sample.path, { createNew: true, write: true, mode: 0o755 });
      const writer = new BundleWriter(file);
      await writer.head(await Deno.readFile(head));
      await writer.image([new TextEncoder().encode("the image")]);
      for (const [name, bytes] of Object.entries(sample.files)) {
        await writer.file(name, 0o644, [bytes]);
      }
      const script = new TextEncoder().encode(`#!/bin/sh\n${text}\n`);
      await writer.file("bin/program", 0o755, [script]);
      await writer.end(["@/bin/program", "word"], isChecked);
    }
    return sample;
  }

  /** Where it unpacks to. */
  get temp(): string {
    return `${this.folder}/tmp`;
  }

  /** Have other bytes in the bundle's place: what still runs is another file. */
  async replace(bytes: Bytes): Promise<void> {
    await Deno.writeFile(`${this.path}.new`, bytes, { mode: 0o755 });
    await Deno.rename(`${this.path}.new`, this.path);
  }

  run(...args: string[]): Promise<Result> {
    return this.under([], ...args);
  }

  /** Run it by a program that becomes it. */
  under(program: readonly string[], ...args: string[]): Promise<Result> {
    return attempt([...program, this.path, ...args], {
      env: { ENROOT_TEMP_PATH: this.temp, PATH: "/usr/bin:/bin" },
      clearEnv: true,
      cwd: this.folder,
    });
  }

  /** Wait until nothing is left in the temporary folder. @throws {Error} after ten seconds */
  async nothingLeft(): Promise<void> {
    let names: string[] = [];
    for (const end = performance.now() + 10_000; performance.now() < end;) {
      names = [...Deno.readDirSync(this.temp)].map(({ name }) => name);
      if (names.length === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`after ten seconds there is still ${names.join(", ")}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.nothingLeft().catch(() => {});
    await run(["chmod", "-R", "u+rwX", this.folder]);
    await Deno.remove(this.folder, { recursive: true });
  }
}

for (const [kind, head] of Object.entries(heads)) {
  Deno.test(`the head ${kind} unpacks what was packed, and becomes the program`, async () => {
    const text = 'cp -R "$2/program" "$2/../../copy"; cat "/proc/self/fd/$3" | wc -c; ' +
      'shift 4; echo $$; printf "%s|" "$@"; exit 7';
    await using sample = await Sample.make(head, text);
    const child = new Deno.Command(sample.path, {
      args: ["a b", "", "é\n"],
      env: { ENROOT_TEMP_PATH: sample.temp },
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const { code, stdout, stderr } = await child.output();
    assertEquals([code, new TextDecoder().decode(stderr)], [7, ""]);
    const { size } = await Deno.stat(sample.path);
    const bundle = await Deno.realPath(sample.path);
    const said = `${size}\n${child.pid}\n${bundle}|a b||é\n|`;
    assertEquals(new TextDecoder().decode(stdout), said);
    for (const [name, bytes] of Object.entries(sample.files)) {
      assertEquals(await Deno.readFile(`${sample.folder}/copy/${name}`), bytes, name);
      const { mode } = await Deno.stat(`${sample.folder}/copy/${name}`);
      assertEquals((mode ?? 0) & 0o777, 0o644);
    }
    await sample.nothingLeft();
  });

  Deno.test(`the head ${kind} finds every byte that was changed but those of the image`, async () => {
    await using sample = await Sample.make(head, "echo started", true);
    assertEquals((await sample.run()).stdout, "started\n");
    const good = await Deno.readFile(sample.path);
    const image = new TextDecoder("latin1").decode(good).indexOf("the image");
    const behind = (good.length - image) / 40;
    const places = [
      ...[64, image - 1, image + 9, good.length - 104, good.length - 70, good.length - 1],
      ...Array.from({ length: 39 }, (_, index) => image + 20 + Math.floor(index * behind)),
    ];
    for (const place of places) {
      const bad = good.slice();
      bad[place] = (bad[place] ?? 0) ^ 1;
      await sample.replace(bad);
      const { code, stdout, stderr } = await sample.run();
      // The first bytes of a program can be such that the kernel does not run it.
      assert(code !== 0 && stdout === "", `byte ${place} was changed: ${code} ${stdout}`);
      if (place > image) assertMatch(stderr, /^\[ERROR\] \S+ is damaged/);
    }
    const other = good.slice();
    other[image] = 0;
    await sample.replace(other);
    assertEquals((await sample.run()).code, 0);
    await sample.nothingLeft();
  });

  Deno.test(`the head ${kind} ends in good order, whatever is wrong in a file`, async () => {
    await using sample = await Sample.make(head, "echo started");
    const good = await Deno.readFile(sample.path);
    const begin = new TextDecoder("latin1").decode(good).indexOf("the image") + 9;
    let refused = 0;
    for (let round = 0; round < 60; round++) {
      const bad = good.slice();
      const place = begin + Math.floor((good.length - begin - 1000) * round / 60);
      crypto.getRandomValues(bad.subarray(place, place + 1 + round % 5));
      await sample.replace(bad);
      const { code, stderr } = await sample.run();
      if (code !== 0) {
        refused++;
        assertMatch(stderr, /^\[ERROR\] [^\n]*\n$|: (not found|Syntax error)|invalid/);
      }
      assert(!stderr.includes("Sanitizer") && !stderr.includes("runtime error"), stderr);
    }
    assert(refused > 5, `only ${refused} were refused`);
    await sample.nothingLeft();
  });

  Deno.test(`the head ${kind} leaves nothing, however the program ends and whatever it has made`, async () => {
    const text = `mkdir -p "$2/rootfs/closed/in" && cd "$2/rootfs" || exit 1
      : > closed/in/file; ln -s /bin closed/link; chmod 0 closed/in; chmod 500 closed
      i=0; while [ $i -lt 90 ]; do mkdir deep && cd deep || exit 1; : > file; i=$((i + 1)); done
      shift 5; eval "$1"`;
    await using sample = await Sample.make(head, text);
    for (
      const [end, code] of [["exit 3", 3], ["kill -9 $$", 137], ["kill -TERM $$", 143]] as const
    ) {
      assertEquals((await sample.run(end)).code, code);
      await sample.nothingLeft();
    }
    // With few descriptors, as a job may have.
    assertEquals((await sample.under(["prlimit", "--nofile=64"], "exit 3")).code, 3);
    await sample.nothingLeft();
    assert((await Deno.stat("/bin")).isDirectory);
  });

  Deno.test({
    name: `the head ${kind} empties nothing that is mounted in its folder, and removes what it can`,
    // It takes a mount.
    ignore: Deno.uid() !== 0,
    async fn() {
      const text = `mkdir -p "$2/rootfs/bound" "$2/rootfs/other" && : > "$2/rootfs/file" || exit 1
        mount --bind "$2/../../kept" "$2/rootfs/bound" && mount -t tmpfs none "$2/rootfs/other" &&
          : > "$2/rootfs/other/file"`;
      await using sample = await Sample.make(head, text);
      await Deno.mkdir(`${sample.folder}/kept`);
      await Deno.writeTextFile(`${sample.folder}/kept/file`, "kept");
      const { code, stderr } = await sample.run();
      assertEquals([code, stderr], [0, ""]);
      const [name = ""] = namesIn(sample.temp);
      const folder = `${sample.temp}/${name}`;
      try {
        await until(() =>
          !namesIn(folder).includes("lock") && namesIn(`${folder}/rootfs`).length === 2
        );
        // Whatever it does after that, it has not done to these.
        await until(async () => (await attempt(["flock", "-n", folder, "true"])).code === 0);
        assertEquals(namesIn(folder), ["rootfs"]);
        assertEquals(namesIn(`${folder}/rootfs`).sort(), ["bound", "other"]);
        assertEquals(namesIn(`${folder}/rootfs/other`), ["file"]);
        assertEquals(await Deno.readTextFile(`${sample.folder}/kept/file`), "kept");
      } finally {
        await run(["umount", `${folder}/rootfs/bound`, `${folder}/rootfs/other`]);
        await Deno.remove(folder, { recursive: true });
      }
    },
  });

  Deno.test(`the head ${kind} holds its folder and the lock in it for as long as it is there`, async () => {
    const text = `for lock in "$2" "$2/lock"; do flock -n "$lock" true; echo $?; done
      mkdir "$2/rootfs" && cd "$2/rootfs" && mkdir $(seq 2000)`;
    await using sample = await Sample.make(head, text);
    const { code, stdout, stderr } = await sample.run();
    assertEquals([code, stdout, stderr], [0, "1\n1\n", ""]);
    // While it is removed, too.
    const [name = ""] = namesIn(sample.temp);
    assertMatch(name, /^enroot-bundle\./);
    const take = 'exec 9< "$0" && flock -n 9 && ls "$0/rootfs"';
    while (namesIn(sample.temp).length > 0) {
      const { code } = await attempt(["sh", "-c", take, `${sample.temp}/${name}`]);
      assert(code !== 0, "the folder was not locked while it was removed");
    }
    await sample.nothingLeft();
  });

  Deno.test(`the head ${kind} leaves nothing when it cannot start a watcher`, async () => {
    await using sample = await Sample.make(head, "echo started");
    // No process more for this user, which root is not held to.
    await Deno.chmod(sample.folder, 0o755);
    const limited = ["prlimit", "--nproc=1"];
    const become = ["setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups", "--"];
    if (Deno.uid() === 0) await Deno.chown(sample.temp, 54321, 54321);
    const { code, stdout, stderr } = await sample.under([
      ...limited,
      ...Deno.uid() === 0 ? become : [],
    ]);
    assertEquals([code, stdout], [1, ""]);
    assertMatch(stderr, /^\[ERROR\] cannot start a watcher/);
    assertEquals(namesIn(sample.temp), []);
  });

  Deno.test(`the head ${kind} passes over a place that the loader would take for several`, async () => {
    const text = 'dirname "$2"';
    for (const sign of [":", ";", "$"]) {
      await using sample = await Sample.make(head, text);
      const odd = `${sample.folder}/odd${sign}here`;
      await Deno.mkdir(odd);
      // By another name, too: what counts is where it is.
      await Deno.symlink(odd, `${sample.folder}/plain`);
      for (const place of [odd, `${sample.folder}/plain`]) {
        const env = [`ENROOT_TEMP_PATH=${place}`, `TMPDIR=${sample.temp}`];
        const { stdout, stderr } = await sample.under(["env", ...env]);
        assertEquals([stdout, stderr], [`${sample.temp}\n`, ""]);
        assertEquals(namesIn(odd), []);
      }
      await sample.nothingLeft();
    }
  });

  Deno.test(`the head ${kind} works by where a place really is`, async () => {
    await using sample = await Sample.make(head, 'dirname "$2"');
    await Deno.symlink(sample.temp, `${sample.folder}/link`);
    const { stdout } = await sample.under(["env", `ENROOT_TEMP_PATH=${sample.folder}/link`]);
    assertEquals(stdout, `${await Deno.realPath(sample.temp)}\n`);
    await sample.nothingLeft();
  });
}

/** Locks each folder that appears in another, for a moment, as what removes old files does; says when. */
const locker = `use Fcntl ":flock"; $| = 1; my %seen;
  for (my $end = time + 60; time < $end;) {
    opendir my $all, $ARGV[0] or die;
    for my $name (grep { !/^\\./ && !$seen{$_}++ } readdir $all) {
      open my $folder, "<", "$ARGV[0]/$name/." or next;
      if (flock $folder, LOCK_EX | LOCK_NB) { print "locked\n"; select undef, undef, undef, 0.002 }
    }
  }`;

Deno.test("a folder that another has locked first is left to it, and another one made", async () => {
  await using sample = await Sample.make(heads["as it is shipped"], 'flock -n "$2" true; echo $?');
  const other = new Deno.Command("perl", { args: ["-e", locker, sample.temp], stdout: "piped" })
    .spawn();
  let wasFirst = 0;
  const counted = (async () => {
    for await (const bytes of other.stdout) wasFirst += new TextDecoder().decode(bytes).length / 7;
  })();
  try {
    // It is not often that the other is faster.
    for (const end = performance.now() + 30_000; wasFirst < 3 && performance.now() < end;) {
      const { stdout, stderr } = await sample.run();
      assertEquals([stdout, stderr], ["1\n", ""]);
    }
  } finally {
    other.kill("SIGKILL");
    await Promise.all([other.status, counted]);
  }
  assert(wasFirst > 0, "the other was never faster");
  await sample.nothingLeft();
});

Deno.test("a place that others may write to is passed over", async () => {
  await using sample = await Sample.make(heads["as it is shipped"], "echo started");
  // A folder that others may write to is none for programs, and the next place is taken.
  await Deno.chmod(sample.temp, 0o777);
  assertEquals((await sample.run()).stdout, "started\n");
  assertEquals([...Deno.readDirSync(sample.temp)], []);
});
