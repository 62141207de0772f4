import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { useBackend } from '@espalier/backend';
import { keyedRng } from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import { ratio, timingOf } from './measure.js';
import type { BenchOptions, Figure } from './measure.js';
import { findPython, hasModule } from './python.js';

const SIZES = [
  { rows: 341_479, columns: 100, rank: 20 },
  { rows: 30_522, columns: 384, rank: 64 },
] as const;

type Size = (typeof SIZES)[number];

/** What a process says of its runs of one problem: see linalg-child.ts and linalg.py. */
interface Runs {
  readonly milliseconds: readonly number[];
  /** Largest resident set of the process, in MiB. */
  readonly peak: number;
  /** Σ w ‖a − u Vᵀ‖² over Σ w ‖a‖², from the factors, in float64. */
  readonly share: number;
}

const fromHere = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const child = fromHere('linalg-child.js');
const script = fromHere('../../bench/linalg.py');

/** Weighted low rank beside NumPy and scikit-learn, each in processes of its own, in turn. */
export async function benchLinalg({ quick }: BenchOptions): Promise<readonly Figure[]> {
  const rounds = quick ? 1 : 3;
  const figures: Figure[] = [];
  for (const size of quick ? SIZES.slice(1) : SIZES) {
    const folder = mkdtempSync(join(tmpdir(), 'espalier-linalg-'));
    try {
      await writeProblem(folder, size);
      figures.push(...compare(folder, size, rounds));
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
  return figures;
}

/** Rows of uniform noise mixed so that the k-th singular value is about k^-½; Zipf's weights. */
async function writeProblem(folder: string, { rows, columns }: Size): Promise<void> {
  const backend = await useBackend({ prefer: ['wasm'] });
  const draw = keyedRng('linalg', rows);
  const uniform = (count: number) => Float32Array.from({ length: count }, () => draw() - 0.5);
  const mix = tf.tidy(() => {
    const [orthonormal] = tf.linalg.qr(tf.tensor2d(uniform(columns ** 2), [columns, columns]));
    const decay = Float32Array.from({ length: columns }, (_, k) => (k + 1) ** -0.5);
    return tf.mul(orthonormal!, tf.tensor2d(decay, [columns, 1])) as tf.Tensor2D;
  });
  const matrix = new Float32Array(rows * columns);
  for (let from = 0; from < rows; from += 8192) {
    const count = Math.min(8192, rows - from);
    const chunk = tf.tidy(() =>
      tf.matMul(tf.tensor2d(uniform(count * columns), [count, columns]), mix),
    );
    matrix.set(await chunk.data<'float32'>(), from * columns);
    chunk.dispose();
  }
  mix.dispose();
  backend.dispose();
  writeFileSync(join(folder, 'matrix'), matrix);
  writeFileSync(
    join(folder, 'weights'),
    Float32Array.from({ length: rows }, (_, i) => 1e6 / (i + 1)),
  );
}

function compare(folder: string, size: Size, rounds: number): readonly Figure[] {
  const { rows, columns, rank } = size;
  const python = findPython();
  const sklearn = python && hasModule(python, 'sklearn');
  if (!sklearn) console.log(`  ${python ? 'no scikit-learn' : 'no NumPy'}: npm run setup:python`);
  const args = [folder, rows, columns, rank].map(String);
  const cores = cpus().length;
  const contenders: Readonly<Record<string, readonly string[]>> = {
    [`wasm, ${cores} threads`]: [process.execPath, child, ...args, String(cores)],
    'wasm, 1 thread': [process.execPath, child, ...args, '1'],
    ...(python && {
      'NumPy float32': [python, script, ...args, 'float32'],
      'NumPy float64': [python, script, ...args, 'float64'],
      'NumPy float32 in chunks': [python, script, ...args, 'chunks'],
    }),
    ...(python && sklearn && { 'scikit-learn': [python, script, ...args, 'sklearn'] }),
  };
  const names = Object.keys(contenders);
  const runs = Array.from({ length: rounds }, () => names.map((name) => run(contenders[name]!)));
  const seen = names.map((name, i) => ({ name, ...merge(runs.map((round) => round[i]!)) }));
  const label = (text: string) => `${rows} × ${columns}, rank ${rank}: ${text}`;
  return [
    ...seen.flatMap(({ name, timing, peak, share }) => [
      {
        name: label(name),
        value: timing.median,
        unit: 'ms',
        spread: `peak ${Math.round(peak)} MiB, share of the weighted square left out ${share.toPrecision(7)}`,
      },
    ]),
    ...ratios(seen).map((figure) => ({ ...figure, name: label(figure.name) })),
  ];
}

interface Seen {
  readonly name: string;
  readonly timing: ReturnType<typeof timingOf>;
  readonly share: number;
}

/** Times against NumPy's faster type and scikit-learn, and how much worse the error is than float64. */
function ratios(seen: readonly Seen[]): readonly Figure[] {
  const [ours, single] = seen;
  const named = (name: string) => seen.find((each) => each.name === name);
  const double = named('NumPy float64');
  const whole = ['NumPy float32', 'NumPy float64'].flatMap((name) => named(name) ?? []);
  const numpy = whole.sort((a, b) => a.timing.median - b.timing.median)[0];
  const sklearn = named('scikit-learn');
  if (!double || !numpy) return [];
  return [
    ratio(`${ours!.name} / ${numpy.name}`, ours!.timing, numpy.timing, 4),
    ratio(`${single!.name} / ${numpy.name}`, single!.timing, numpy.timing),
    ...(sklearn ? [ratio(`${ours!.name} / scikit-learn`, ours!.timing, sklearn.timing, 1)] : []),
    {
      name: 'error above NumPy float64, relatively',
      value: Math.max(0, ours!.share / double.share - 1),
      unit: '',
      target: 1e-4,
    },
  ];
}

function merge(rounds: readonly Runs[]) {
  return {
    timing: timingOf(rounds.flatMap(({ milliseconds }) => milliseconds)),
    peak: Math.max(...rounds.map(({ peak }) => peak)),
    share: rounds[0]!.share,
  };
}

function run([command, ...args]: readonly string[]): Runs {
  const { status, stdout, stderr } = spawnSync(command!, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${args.join(' ')} failed:\n${stderr}`);
  return JSON.parse(stdout.slice(stdout.lastIndexOf('{'))) as Runs;
}
