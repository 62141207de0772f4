import fc from 'fast-check';

/** A file broken at one place: a byte changed, the end cut off, or bytes appended. */
export const broken = (file: Uint8Array) =>
  fc.oneof(
    fc.tuple(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, mask]) => {
      const copy = file.slice();
      copy[at]! ^= mask;
      return copy;
    }),
    fc.nat(file.length - 1).map((length) => file.slice(0, length)),
    fc.uint8Array({ minLength: 1, maxLength: 9 }).map((tail) => new Uint8Array([...file, ...tail])),
  );
