import { isNumber } from './diagnose-line.js';

const [SPACE, TAB, PLUS, MINUS, POINT, ZERO] = [32, 9, 43, 45, 46, 48];
/** Powers of ten that a double holds exactly. */
const POWERS = Array.from({ length: 23 }, (_, k) => Number(`1e${k}`));
const decoder = new TextDecoder('latin1');

/** Whether a byte separates numbers. */
export function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

/**
 * Parses numbers between blanks, as `Number` and then `Math.fround` would, but several times as fast: digits
 * are added up in a double, which a power of ten divides without a second rounding.
 *
 * @param out Where they go, from `to` on.
 * @returns whether there were exactly `count` numbers, all finite in float32. If not, `out` has anything.
 */
export function parseNumbers(
  bytes: Uint8Array,
  begin: number,
  end: number,
  out: Float32Array,
  to: number,
  count: number,
): boolean {
  let at = begin;
  for (let k = to; k < to + count; k++) {
    while (at < end && isBlank(bytes[at]!)) at++;
    const start = at;
    const isNegative = at < end && bytes[at] === MINUS;
    if (isNegative || (at < end && bytes[at] === PLUS)) at++;
    let [mantissa, digits, point] = [0, 0, -1];
    for (; at < end; at++) {
      const digit = bytes[at]! - ZERO;
      if (digit >= 0 && digit <= 9) {
        mantissa = mantissa * 10 + digit;
        digits++;
      } else if (bytes[at] === POINT && point < 0) point = at;
      else break;
    }
    const decimals = point < 0 ? 0 : at - point - 1;
    const isPlain = digits > 0 && (at === end || isBlank(bytes[at]!));
    if (isPlain && mantissa <= Number.MAX_SAFE_INTEGER && decimals < POWERS.length) {
      const value = mantissa / POWERS[decimals]!;
      out[k] = isNegative ? -value : value;
    } else {
      while (at < end && !isBlank(bytes[at]!)) at++;
      out[k] = parseSlowly(decoder.decode(bytes.subarray(start, at)));
    }
    if (!Number.isFinite(out[k])) return false;
  }
  while (at < end && isBlank(bytes[at]!)) at++;
  return at === end;
}

/** NaN for what is no number. */
function parseSlowly(token: string): number {
  return isNumber(token) ? Number(token) : NaN;
}
