/** The reading thread of arrival_test.ts. */
import { type FileRegion, readRegion } from "./file_region.ts";

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<FileRegion>) => void;
  postMessage(message: unknown): void;
};

scope.onmessage = async ({ data }) => {
  let [sum, pieces] = [0, 0];
  for await (const piece of readRegion(data, "the file")) {
    pieces++;
    for (const byte of piece) sum += byte;
  }
  scope.postMessage({ sum, pieces });
};
