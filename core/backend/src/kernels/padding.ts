import * as tf from '@tensorflow/tfjs-core';

export type Pad = 'valid' | 'same' | number | tf.backend_util.ExplicitPadding;

type DataFormat = 'NHWC' | 'NCHW';

interface Attrs {
  readonly strides: number | [number, number];
  readonly pad: Pad;
  readonly dataFormat?: DataFormat;
  readonly dilations?: number | [number, number];
}

/** Padding per side instead of one number, by which tfjs miscounts the outputs: see {@link numericPadding}. */
export function explicitPad(pad: Pad, dataFormat: DataFormat = 'NHWC'): Exclude<Pad, number> {
  if (typeof pad !== 'number') return pad;
  const [side, none]: [number, number][] = [
    [pad, pad],
    [0, 0],
  ];
  return dataFormat === 'NHWC' ? [none!, side!, side!, none!] : [none!, none!, side!, side!];
}

function withPad(params: Parameters<tf.KernelFunc>[0], pad: Pad): Parameters<tf.KernelFunc>[0] {
  return { ...params, attrs: { ...params.attrs, pad } as unknown as tf.NamedAttrMap };
}

/**
 * Where `pad` is a number, tfjs computes the width of the output from the filter's height and the
 * vertical stride. If the two axes differ, the cpu backend gives an image of the wrong size, and the
 * wasm backend writes beyond the end of one. With the padding of each side spelt out it does not.
 */
export const numericPadding = (original: tf.KernelFunc): tf.KernelFunc => {
  return (params) => {
    const { pad, dataFormat } = params.attrs as unknown as Attrs;
    return typeof pad === 'number'
      ? original(withPad(params, explicitPad(pad, dataFormat)))
      : original(params);
  };
};

/**
 * For `pad: 'same'` the wasm kernels let XNNPACK work out the padding, which goes wrong on an axis that
 * needs none because its stride leaves a part of the image unseen. The repair spells it out.
 */
export const samePadding =
  (depthwise: boolean) =>
  (original: tf.KernelFunc): tf.KernelFunc => {
    return (params) => {
      const { strides, pad, dataFormat, dilations } = params.attrs as unknown as Attrs;
      if (pad !== 'same' || dataFormat === 'NCHW') return original(params);
      const { x, filter } = params.inputs as unknown as Record<'x' | 'filter', tf.Tensor4D>;
      const { padInfo } = tf.backend_util.computeConv2DInfo(
        x.shape,
        filter.shape,
        strides,
        dilations ?? 1,
        pad,
        undefined,
        depthwise,
      );
      const { top, bottom, left, right } = padInfo;
      const explicit: Pad = [
        [0, 0],
        [top, bottom],
        [left, right],
        [0, 0],
      ];
      return original(withPad(params, explicit));
    };
  };
