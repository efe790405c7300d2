/**
 * The schema of bills of materials, as its makers publish it with their library.
 *
 * It comes by npm into a folder of its own, because nothing but this test needs it.
 *
 * @module
 */

import { attempt, run } from "./command.ts";

const packages = [
  "@cyclonedx/cyclonedx-library@10.3.0",
  "ajv@8.20.0",
  "ajv-formats@3.0.1",
  "ajv-formats-draft2019@1.6.1",
];

const script = `import { readFileSync } from "node:fs";
import { Spec, Validation } from "@cyclonedx/cyclonedx-library";
const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot5);
const wrong = await validator.validate(readFileSync(process.argv[2], "utf8"));
process.stdout.write(wrong === null ? "" : JSON.stringify(wrong));
`;

/** The schema of CycloneDX 1.5. Disposing of it removes it. */
export class CycloneDx implements AsyncDisposable {
  private constructor(readonly folder: string) {}

  /** Fetch it. @throws {Error} with what npm said */
  static async install(): Promise<CycloneDx> {
    const folder = await Deno.makeTempDir({ prefix: "zenroot-cyclonedx-" });
    const schema = new CycloneDx(folder);
    try {
      const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
      await run(["npm", "install", ...options, ...packages], { cwd: folder });
      await Deno.writeTextFile(`${folder}/check.mjs`, script);
      return schema;
    } catch (error) {
      await schema[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What is wrong with a bill; empty when nothing is. @throws {Error} when that cannot be told */
  async check(bill: string): Promise<string> {
    const { code, stdout, stderr } = await attempt(["node", "check.mjs", bill], {
      cwd: this.folder,
    });
    if (code !== 0) throw new Error(`the check of ${bill} failed:\n${stderr}`);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}
