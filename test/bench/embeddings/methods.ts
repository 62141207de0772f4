/** Sizes of the matrix that is compressed. */
export interface Shape {
  readonly rows: number;
  readonly columns: number;
}

/** What a method is told beside the matrix: plain numbers, so that they can be written into a row of results. */
export type Setting = Readonly<Record<string, number>>;

/** What a row of the comparison asks for. */
export interface Request extends Shape {
  /** Bytes of the matrix in float32 over bytes when compressed, everything counted. */
  readonly ratio: number;
}

/** A way to compress a matrix, as the parent process knows it. */
export interface Method {
  readonly name: string;
  /** The library that does it. */
  readonly by: string;
  /** The Python module without which there is no such row. */
  readonly module?: string;
  /** True where it cannot do without counts. */
  readonly counts?: true;
  /** The setting to compute; none where nothing fits. */
  choose(request: Request): Setting | undefined;
}

/** A method whose bytes follow from the setting. */
export interface CountedMethod extends Method {
  bytes(shape: Shape, setting: Setting): number;
}

/** What is counted for sizes, types and settings, the same for every method. */
export const HEADER_BYTES = 128;

/** How far a method with a size of its own may be from the size asked for, as a factor. */
const NEAR = 1.1;
/** Share of the bytes that tables of 256 entries may take before tables of 16 are tried too. */
const MANY_TABLES = 0.05;
/** Share of the bytes that tables of 16 must be able to use. */
const FULL = 0.8;

export const budgetOf = ({ rows, columns, ratio }: Request): number =>
  Math.floor((4 * rows * columns) / ratio);

/** The largest whole number from 1 to `limit` whose bytes fit, where more takes more; none: `undefined`. */
export function largestFitting(
  limit: number,
  budget: number,
  bytesOf: (count: number) => number,
): number | undefined {
  let found: number | undefined;
  for (let count = 1; count <= limit && bytesOf(count) <= budget; count++) found = count;
  return found;
}

/** A method that has one knob: how many ranks, parts or stages. */
export function byCount(
  name: string,
  by: string,
  knob: string,
  options: {
    readonly limit: (shape: Shape) => number;
    readonly bytes: (shape: Shape, count: number) => number;
    readonly rest?: Setting;
  },
): CountedMethod {
  const bytes = (shape: Shape, setting: Setting) =>
    options.bytes(shape, setting[knob]!) + HEADER_BYTES;
  return {
    name,
    by,
    bytes,
    choose(request) {
      const bytesOf = (count: number) => bytes(request, { [knob]: count });
      const count = largestFitting(options.limit(request), budgetOf(request), bytesOf);
      return count === undefined ? undefined : { [knob]: count, ...options.rest };
    },
  };
}

/** A method whose size nobody can choose: a row of the sizes that are near, with the ratio that it gets. */
export function ofFixedSize(
  name: string,
  by: string,
  setting: Setting,
  bytesOf: (shape: Shape) => number,
): CountedMethod {
  const bytes = (shape: Shape) => bytesOf(shape) + HEADER_BYTES;
  return {
    name,
    by,
    bytes,
    choose(request) {
      const off = Math.abs(Math.log(bytes(request) / budgetOf(request)));
      return off <= Math.log(NEAR) ? setting : undefined;
    },
  };
}

/** Codes of vectors with tables of 256 entries, and with tables of 16 where the larger ones take much of the bytes. */
export function withBothTables<M extends CountedMethod>(
  make: (bits: 8 | 4) => M,
  tableBytes: (shape: Shape) => number,
): readonly M[] {
  const small = make(4);
  const choose: Method['choose'] = (request) => {
    if (tableBytes(request) <= MANY_TABLES * budgetOf(request)) return undefined;
    const setting = small.choose(request);
    return setting && small.bytes(request, setting) >= FULL * budgetOf(request)
      ? setting
      : undefined;
  };
  return [make(8), { ...small, choose }];
}
