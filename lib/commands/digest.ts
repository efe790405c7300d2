/**
 * `enroot digest`
 *
 * @module
 */

import { UsageError } from "../errors.ts";
import { withTermination } from "../process/signals.ts";
import { resolveDigest } from "../source/source.ts";
import { parseImageUri } from "../source/uri.ts";
import type { Command } from "./command.ts";
import { sourceOptions } from "./import_image.ts";
import { parseOptions } from "./options.ts";
import { configOf } from "./store.ts";

/** Shows the manifest digest of an image for an architecture. */
export const command: Command = {
  usage: `digest [-a|--arch ARCH] URI

Show the digest of an image's manifest for an architecture.

  -a, --arch ARCH  the architecture (default: this machine's)
`,
  async run(context) {
    const options = parseOptions(context.args, { values: { arch: "a" } });
    const [operand, ...more] = options.operands;
    if (operand === undefined) throw new UsageError("'digest' needs an image URI");
    if (more.length > 0) throw new UsageError(`'digest' takes one image: '${more[0]}'`);
    const uri = parseImageUri(operand);
    const config = await configOf(context);
    const digest = await withTermination((signal) =>
      resolveDigest(uri, sourceOptions(context, config, options.value("arch"), signal))
    );
    context.print(`${digest}\n`);
    return 0;
  },
};
