import { assertEquals } from "@std/assert";
import { UnsquashfsReport } from "./unsquashfs_report.ts";

const mknod = "create_inode: failed to create";

const reports: [text: string, devices: number | undefined, xattrs?: number][] = [
  ["", 0],
  [`\n${mknod} block device out/h/blk, because Operation not permitted\n`, 1],
  [`\n${mknod} character device o, because x/a\nb, because Operation not permitted\n\n`, undefined],
  [`\n${mknod} character device o/a\nb, because Operation not permitted\n\n`, 1],
  [
    "\ncreate_inode: could not create character device o/null, because you're not superuser!\n" +
    "\ncreate_inode: could not create block device o/sda, because you're not superuser!\n",
    2,
  ],
  [
    "\nwrite_xattr: failed to write xattr user.a for file o/f because extended attributes are not " +
    "supported by the destination filesystem\n\nIgnoring xattrs in filesystem\n\n" +
    "To avoid this error message, specify -no-xattrs\n",
    0,
    1,
  ],
  ["\nwrite_file: failed to create file o/f, because No space left on device\n", undefined],
  [
    `\n${mknod} block device o/b, because Operation not permitted\n` +
    "\ncreate_inode: failed to create symlink o/l, because File exists\n",
    undefined,
  ],
  [`\n${mknod} block device o/b`, undefined],
];
for (const [text, devices, xattrs = 0] of reports) {
  Deno.test(`unsquashfs says ${JSON.stringify(text.slice(0, 60))}…`, () => {
    const expected = devices === undefined
      ? undefined
      : { skippedDevices: devices, skippedXattrs: xattrs };
    const whole = new UnsquashfsReport();
    whole.add(text);
    assertEquals(whole.end(), expected);
    const cut = new UnsquashfsReport();
    for (const character of text) cut.add(character);
    assertEquals(cut.end(), expected);
  });
}
