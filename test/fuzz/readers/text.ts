/** A text as the bytes of a file. */
export function text(content: string): Uint8Array {
  return Buffer.from(content);
}

/** JSON as the bytes of a file. */
export function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

/** The JSON in the bytes of a file. */
export function parse(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes).toString());
}
