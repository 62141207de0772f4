import type * as tf from '@tensorflow/tfjs-core';

type AttributeType = 'BOOL' | 'FLOAT' | 'STRING' | 'TYPE';

interface OpAttribute {
  readonly name: string;
  readonly type: number;
  readonly value: boolean | number | string;
}

/** The part of tfjs-node's backend that runs ops of TensorFlow; its types hide it. */
interface NativeBackend {
  readonly binding: Readonly<Record<`TF_ATTR_${AttributeType}` | 'TF_FLOAT', number>>;
  executeMultipleOutputs(
    op: string,
    attributes: readonly OpAttribute[],
    inputs: readonly tf.Tensor[],
    outputs: number,
  ): tf.Tensor[];
}

/** Attributes of an op of TensorFlow; those that name a type are all float32 here. */
export interface OpAttributes {
  readonly types: readonly string[];
  readonly numbers?: Readonly<Record<string, number>>;
  readonly texts?: Readonly<Record<string, string>>;
  readonly flags?: Readonly<Record<string, boolean>>;
}

/** Runs an op of TensorFlow that tfjs-node has no kernel for. */
export function runNativeOp(
  backend: unknown,
  op: string,
  inputs: readonly tf.Tensor[],
  { types, numbers = {}, texts = {}, flags = {} }: OpAttributes,
  outputs = 1,
): tf.Tensor[] {
  const native = backend as NativeBackend;
  const { binding } = native;
  const list = (type: AttributeType, values: Readonly<Record<string, OpAttribute['value']>>) =>
    Object.entries(values).map(([name, value]) => ({
      name,
      type: binding[`TF_ATTR_${type}`],
      value,
    }));
  const attributes = [
    ...list('TYPE', Object.fromEntries(types.map((name) => [name, binding.TF_FLOAT]))),
    ...list('FLOAT', numbers),
    ...list('STRING', texts),
    ...list('BOOL', flags),
  ];
  return native.executeMultipleOutputs(op, attributes, inputs, outputs);
}
