/**
 * A program called `docker` and `podman` that answers `image inspect` and `save` with what a test
 * gives it: for archives of engines that are not here.
 *
 * @module
 */

/** A folder for the front of PATH. Disposing of it removes it. */
export class FakeEngine implements AsyncDisposable {
  /** The folder with the programs. */
  readonly bin: string;

  private constructor(bin: string) {
    this.bin = bin;
  }

  /** Make the programs, which fail until {@linkcode answer} is called. */
  static async make(): Promise<FakeEngine> {
    const bin = await Deno.makeTempDir({ prefix: "zenroot-fake-" });
    await Deno.chmod(bin, 0o755);
    const script = `#!/bin/sh
PATH=/usr/bin:/bin
echo "$*" >> '${bin}/calls'
case "$1" in
image) cat '${bin}/inspect' ;;
info) echo "\${TMPDIR:-/var/tmp}" ;;
save) . '${bin}/save' ;;
*) echo "unexpected: $*" >&2; exit 9 ;;
esac
`;
    for (const name of ["docker", "podman"]) {
      await Deno.writeTextFile(`${bin}/${name}`, script, { mode: 0o755 });
      await Deno.chmod(`${bin}/${name}`, 0o755);
    }
    return new FakeEngine(bin);
  }

  /**
   * What is answered from now on.
   *
   * @param save.bytes what is written
   * @param save.then shell text for after that, `exit 1` for example; the bytes are all otherwise
   */
  async answer(
    inspect: string,
    save: { readonly bytes: Uint8Array; readonly then?: string },
  ): Promise<void> {
    await Deno.writeTextFile(`${this.bin}/inspect`, inspect);
    await Deno.writeFile(`${this.bin}/archive`, save.bytes);
    await Deno.writeTextFile(`${this.bin}/save`, `cat '${this.bin}/archive'\n${save.then ?? ""}\n`);
    await Deno.writeTextFile(`${this.bin}/calls`, "");
    for (const name of ["inspect", "archive", "save", "calls"]) {
      await Deno.chmod(`${this.bin}/${name}`, name === "calls" ? 0o666 : 0o644);
    }
  }

  /** What the programs were called with since the last {@linkcode answer}, a line each. */
  async calls(): Promise<string[]> {
    return (await Deno.readTextFile(`${this.bin}/calls`)).trim().split("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.bin, { recursive: true });
  }
}
