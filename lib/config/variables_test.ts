import { assertEquals } from "@std/assert";
import { bareVariables } from "./variables.ts";

const table: [value: string, names: string[]][] = [
  ["", []],
  ["/x", []],
  ["$A/${B}/x", ["A", "B"]],
  ["$A_1-${_b}.$9$@", ["A_1", "_b"]],
  ["${A:-x}${B-x}${C:+x}${D+x}${E:=x}${F:?x}", []],
  ["${A%x}${B##x}${C:0:3}${D: -3}${E/x/y}${F^^}", ["A", "B", "C", "D", "E", "F"]],
  ["${A:-${B}}$C", ["C"]],
  ["$(echo $A)$B$(echo $(echo ${C}))${D}", ["B", "D"]],
  ["`echo $A`$B", ["B"]],
  ["\\$A\\\\$B", ["B"]],
  ["$((A + $A))$B", ["B"]],
  ["$(case $A in x) echo;; esac)$B", []],
  ["$(echo $A", []],
  ["/x)/$A", []],
];
for (const [value, names] of table) {
  Deno.test(`${value} needs ${names.join(" and ") || "no variable"}`, () => {
    assertEquals(bareVariables(value), names);
  });
}
