import { ByteCursor } from './byte-cursor.js';
import { REFUSED_OPCODES } from './opcode-names.js';
import { foreignGlobalError, foreignOpcodeError, invalidPickleError } from './pickle-error.js';

/** A dict of Python. */
export class PickledDict {
  readonly entries = new Map<unknown, unknown>();
}

/** A list of Python; tuples are arrays. */
export class PickledList {
  readonly items: unknown[] = [];
}

/** What may stand for a name that a pickle asks for: a plain value, or a function of this package. */
export type PickleGlobal =
  { readonly value: unknown } | { readonly call: (args: readonly unknown[]) => unknown };

/** What a pickle may refer to. */
export interface PickleContext {
  /** By `module.name`; all others are refused. */
  readonly globals: ReadonlyMap<string, PickleGlobal>;
  /** The object that a persistent id stands for. */
  readonly load: (id: unknown) => unknown;
}

/**
 * Reads a pickle of protocol 2 to 5, as far as state dicts need it. Nothing of it is executed: a name of the
 * pickle is looked up in `globals` alone, and every opcode that makes objects of other classes is refused.
 *
 * @returns dicts and lists in classes of their own, tuples as arrays.
 * @throws EspalierError `pickle/opcode`, `pickle/global`, `pickle/invalid`, with the byte.
 * @see https://docs.python.org/3/library/pickletools.html
 */
export function unpickle(bytes: Uint8Array, context: PickleContext): unknown {
  return new Unpickler(bytes, context).run();
}

const MARK = Symbol('mark');

class Unpickler {
  readonly #cursor: ByteCursor;
  readonly #context: PickleContext;
  readonly #stack: unknown[] = [];
  readonly #memo = new Map<number, unknown>();
  #opcodeAt = 0;

  constructor(bytes: Uint8Array, context: PickleContext) {
    this.#cursor = new ByteCursor(bytes);
    this.#context = context;
  }

  run(): unknown {
    for (;;) {
      this.#opcodeAt = this.#cursor.at;
      const opcode = this.#cursor.readUint8();
      if (opcode === STOP) break;
      const step = STEPS.get(opcode);
      if (!step) throw foreignOpcodeError(nameOpcode(opcode), this.#opcodeAt);
      step(this, this.#cursor);
    }
    const value = this.pop();
    if (this.#stack.length > 0 || this.#cursor.left > 0)
      throw this.refuse('there is more than one value');
    return value;
  }

  refuse(problem: string): Error {
    return invalidPickleError(problem, this.#opcodeAt);
  }

  push(value: unknown): void {
    this.#stack.push(value);
  }

  pop(): unknown {
    const value = this.#stack.pop();
    if (value === undefined || value === MARK) throw this.refuse('a value is missing');
    return value;
  }

  peek(): unknown {
    const value = this.#stack.at(-1);
    if (value === undefined || value === MARK) throw this.refuse('a value is missing');
    return value;
  }

  popToMark(): unknown[] {
    const mark = this.#stack.lastIndexOf(MARK);
    if (mark < 0) throw this.refuse('a mark is missing');
    const values = this.#stack.splice(mark + 1);
    this.#stack.pop();
    return values;
  }

  popSome(count: number): unknown[] {
    return Array.from({ length: count }, () => this.pop()).reverse();
  }

  put(place = this.#memo.size): void {
    this.#memo.set(place, this.peek());
  }

  get(place: number): void {
    if (!this.#memo.has(place)) throw this.refuse(`nothing was kept as ${place}`);
    this.push(this.#memo.get(place));
  }

  append(values: readonly unknown[]): void {
    const list = this.peek();
    if (!(list instanceof PickledList)) throw this.refuse('there is no list to append to');
    for (const value of values) list.items.push(value);
  }

  setItems(values: readonly unknown[]): void {
    const dict = this.peek();
    if (!(dict instanceof PickledDict) || values.length % 2 !== 0)
      throw this.refuse('there is no dict to put items into');
    for (let i = 0; i < values.length; i += 2) dict.entries.set(values[i], values[i + 1]);
  }

  findGlobal(module: unknown, name: unknown): void {
    const known = this.#context.globals.get(`${String(module)}.${String(name)}`);
    if (!known) throw foreignGlobalError(`${String(module)}.${String(name)}`, this.#opcodeAt);
    this.push('value' in known ? known.value : known);
  }

  reduce(): void {
    const [made, args] = this.popSome(2);
    const call = (made as { readonly call?: unknown } | null)?.call;
    if (typeof call !== 'function' || !Array.isArray(args))
      throw this.refuse('it calls no function');
    this.push((call as (args: readonly unknown[]) => unknown)(args));
  }

  /** Attributes of a dict, such as the versions of modules, say nothing about tensors. */
  build(): void {
    this.pop();
    if (!(this.peek() instanceof PickledDict)) throw this.refuse('it sets attributes of no dict');
  }

  loadPersistent(): void {
    this.push(this.#context.load(this.pop()));
  }
}

type Step = (machine: Unpickler, cursor: ByteCursor) => void;

const STOP = 0x2e;
const STEPS: ReadonlyMap<number, Step> = new Map<number, Step>([
  [0x28, (m) => m.push(MARK)],
  [0x29, (m) => m.push([])], // EMPTY_TUPLE
  [0x42, (m, c) => m.push(c.readBytes(c.readUint32()))], // BINBYTES
  [0x43, (m, c) => m.push(c.readBytes(c.readUint8()))], // SHORT_BINBYTES
  [0x47, (m, c) => m.push(c.readFloat64())], // BINFLOAT
  [0x4a, (m, c) => m.push(c.readInt32())], // BININT
  [0x4b, (m, c) => m.push(c.readUint8())], // BININT1
  [0x4d, (m, c) => m.push(c.readUint16())], // BININT2
  [0x4e, (m) => m.push(null)], // NONE
  [0x51, (m) => m.loadPersistent()], // BINPERSID
  [0x52, (m) => m.reduce()], // REDUCE
  [0x58, (m, c) => m.push(c.readText(c.readUint32()))], // BINUNICODE
  [0x5d, (m) => m.push(new PickledList())], // EMPTY_LIST
  [0x61, (m) => appendOne(m)], // APPEND
  [0x62, (m) => m.build()], // BUILD
  [0x63, (m, c) => m.findGlobal(c.readLine(), c.readLine())], // GLOBAL
  [0x65, (m) => m.append(m.popToMark())], // APPENDS
  [0x68, (m, c) => m.get(c.readUint8())], // BINGET
  [0x6a, (m, c) => m.get(c.readUint32())], // LONG_BINGET
  [0x71, (m, c) => m.put(c.readUint8())], // BINPUT
  [0x72, (m, c) => m.put(c.readUint32())], // LONG_BINPUT
  [0x73, (m) => m.setItems(m.popSome(2))], // SETITEM
  [0x74, (m) => m.push(m.popToMark())], // TUPLE
  [0x75, (m) => m.setItems(m.popToMark())], // SETITEMS
  [0x7d, (m) => m.push(new PickledDict())], // EMPTY_DICT
  [0x80, (m, c) => checkProtocol(m, c.readUint8())], // PROTO
  [0x85, (m) => m.push(m.popSome(1))], // TUPLE1
  [0x86, (m) => m.push(m.popSome(2))], // TUPLE2
  [0x87, (m) => m.push(m.popSome(3))], // TUPLE3
  [0x88, (m) => m.push(true)], // NEWTRUE
  [0x89, (m) => m.push(false)], // NEWFALSE
  [0x8a, (m, c) => m.push(readLong(c.readBytes(c.readUint8())))], // LONG1
  [0x8c, (m, c) => m.push(c.readText(c.readUint8()))], // SHORT_BINUNICODE
  [0x8d, (m, c) => m.push(c.readText(c.readUint64()))], // BINUNICODE8
  [0x93, (m) => findStacked(m)], // STACK_GLOBAL
  [0x94, (m) => m.put()], // MEMOIZE
  [0x95, (_, c) => void c.readUint64()], // FRAME
]);

function appendOne(machine: Unpickler): void {
  const value = machine.pop();
  machine.append([value]);
}

function findStacked(machine: Unpickler): void {
  const [module, name] = machine.popSome(2);
  machine.findGlobal(module, name);
}

function checkProtocol(machine: Unpickler, protocol: number): void {
  if (protocol < 2 || protocol > 5) throw machine.refuse(`it is of protocol ${protocol}`);
}

/** Little-endian, in two's complement; NaN where a double does not hold it. */
function readLong(bytes: Uint8Array): number {
  let value = 0n;
  for (const byte of [...bytes].reverse()) value = value * 256n + BigInt(byte);
  const signed = BigInt.asIntN(8 * bytes.length, value);
  return Number.isSafeInteger(Number(signed)) ? Number(signed) : NaN;
}

function nameOpcode(opcode: number): string {
  return REFUSED_OPCODES[opcode] ?? `0x${opcode.toString(16).padStart(2, '0')}`;
}
