import { printable } from '@espalier/base';
import { writeJson } from '@espalier/core';

/** Writes text to standard output. All that commands write passes here: names of others stay text. */
export const print = (text: string): void => void process.stdout.write(`${printable(text)}\n`);

/** Writes text to standard error. */
export const printAside = (text: string): void => void process.stderr.write(`${printable(text)}\n`);

/** Writes data as JSON. */
export const printJson = (value: unknown, name: string, indent?: number): void =>
  print(writeJson(value, name, indent));

/** Writes a part of a line to standard output. */
export const printPart = (text: string): void => void process.stdout.write(printable(text));

/** Writes a part of a line to standard error. */
export const printPartAside = (text: string): void => void process.stderr.write(printable(text));

/** Clears the line under way on a terminal, for the next part. */
export const clearLine = (): void =>
  void (process.stderr.isTTY && process.stderr.write('\r\u001b[K'));
