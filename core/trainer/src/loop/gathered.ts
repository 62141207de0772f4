import { attribute, EspalierError, refuseForeignTensor } from '@espalier/base';
import type { NamedTensors } from '@espalier/base';
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor1D } from '@tensorflow/tfjs-core';
import type { ComputeMetrics } from '../hooks/hooks.js';

/** What a plugin gathers of one batch; see `EvaluateContext`. */
interface Request {
  readonly plugin: string;
  readonly name: string;
  readonly tensors: NamedTensors;
  readonly compute: ComputeMetrics;
}

/** What was read of it so far. */
interface Column {
  readonly plugin: string;
  readonly chunks: Record<string, Float32Array[]>;
  readonly compute: ComputeMetrics;
}

type Numbers = Float32Array | Int32Array | Uint8Array;

/** What plugins gather over one evaluation: read batch by batch, computed when it is over. */
export class Gathered {
  readonly #columns = new Map<string, Column>();
  #requests: Request[] = [];

  /** @throws EspalierError `evaluate/gather`. */
  ask(request: Request): void {
    const { plugin, name, tensors } = request;
    Object.entries(tensors).forEach(([each, tensor]) => {
      refuseForeignTensor(`the tensor '${each}' of gather('${name}')`, tensor);
      if (!(tensor instanceof tf.Tensor)) throw notATensorError(name, each, tensor);
    });
    if (this.#requests.some((other) => other.plugin === plugin && other.name === name)) {
      throw twiceError(name);
    }
    this.#requests.push(request);
  }

  /** The numbers that the host has to read for the batch under way. */
  pack(): Tensor1D[] {
    return this.#requests
      .flatMap(({ tensors }) => Object.values(tensors))
      .map((tensor) => tf.reshape(tf.cast(tensor, 'float32'), [tensor.size]));
  }

  /** Takes over what was read, from `start` on, in the order of {@link pack}. */
  read(numbers: Numbers, start: number): void {
    let from = start;
    for (const { plugin, name, tensors, compute } of this.#requests.splice(0)) {
      const key = `${plugin}/${name}`;
      const { chunks } = this.#columns.get(key) ?? { chunks: {} as Column['chunks'] };
      for (const [each, { size }] of Object.entries(tensors)) {
        (chunks[each] ??= []).push(new Float32Array(numbers.subarray(from, from + size)));
        from += size;
      }
      this.#columns.set(key, { plugin, chunks, compute });
    }
  }

  /** Metrics by name of all that was read; an error names the plugin. */
  compute(): readonly (readonly [name: string, value: number])[] {
    return [...this.#columns.values()].flatMap(({ plugin, chunks, compute }) => {
      const joined = Object.entries(chunks).map(([name, each]) => [name, join(each)]);
      try {
        return Object.entries(compute(Object.fromEntries(joined)));
      } catch (error) {
        throw attribute(error, { plugin, hook: 'evaluate' });
      }
    });
  }
}

function join(chunks: readonly Float32Array[]): Float32Array {
  const joined = new Float32Array(chunks.reduce((size, { length }) => size + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.length;
  }
  return joined;
}

function notATensorError(name: string, tensor: string, received: unknown): EspalierError {
  return new EspalierError('evaluate/gather', {
    problem: `gather('${name}') takes tensors by name, and '${tensor}' is not a tensor`,
    received,
    fix: "Call gather('name', { scores, labels }, compute).",
  });
}

function twiceError(name: string): EspalierError {
  return new EspalierError('evaluate/gather', {
    problem: `gather('${name}') was called twice for one batch`,
    fix: 'Call it once, with all tensors, or under another name.',
  });
}
