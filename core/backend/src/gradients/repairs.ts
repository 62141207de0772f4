/** One entry of the table of repairs. */
export interface GradientRepair {
  /** Kernels, or public ops where one op is concerned. */
  readonly op: string;
  /** First or second derivative. */
  readonly order: 1 | 2;
  /** What the derivative did without the repair. */
  readonly was: 'silently wrong' | 'throws' | 'missing' | 'slow';
  /** When it happens. */
  readonly when: string;
  /** What the repair does. */
  readonly cure: string;
  /** The backends concerned; absent if all are. */
  readonly backends?: readonly string[];
  /** The issue of TensorFlow.js, where there is one. */
  readonly issue?: string;
}

const issue = (number: number) => `https://github.com/tensorflow/tfjs/issues/${number}`;

const first: readonly Omit<GradientRepair, 'order'>[] = [
  {
    op: 'AvgPool, AvgPool3D',
    was: 'silently wrong',
    when: "padding: 'same' or a number",
    cure: 'dy is weighted by the share of real elements, and the padding is made explicit',
    backends: ['cpu', 'wasm'],
  },
  {
    op: 'Conv3D',
    was: 'silently wrong',
    when: 'the gradient for the volumes, always with a stride and at times without',
    cure: 'a convolution of dy with the reversed filter',
    backends: ['wasm'],
  },
  {
    op: 'Conv2D, DepthwiseConv2dNative, Conv3D',
    was: 'throws',
    when: 'dilation above 1',
    cure: 'the backward pass of the larger filter with zeros in it',
    issue: issue(7906),
  },
  {
    op: 'fused.conv2d, fused.depthwiseConv2d',
    was: 'throws',
    when: 'dilation above 1 (a convolution layer without activation), or a single image',
    cure: 'the same, put in the place of their custom gradient',
    issue: issue(7906),
  },
  {
    op: 'MirrorPad',
    was: 'silently wrong',
    when: 'always: the mirrored borders are dropped',
    cure: 'the borders are folded back',
  },
  {
    op: 'Cumsum',
    was: 'silently wrong',
    when: 'any axis but the last (throws if the axes differ in length)',
    cure: 'the transposition is left out',
  },
  {
    op: 'Cumprod',
    was: 'missing',
    when: 'always',
    cure: 'a linear recurrence without division, right where x is 0',
    issue: issue(8558),
  },
  {
    op: 'Prod',
    was: 'throws',
    when: 'always, unless the chained ops of the union package are loaded; negative axes even then',
    cure: 'written without chained ops, axes normalized',
  },
  {
    op: 'Maximum, Minimum, SquaredDifference',
    was: 'throws',
    when: 'broadcasting',
    cure: 'summed over the broadcast axes',
  },
  {
    op: 'BatchMatMul',
    was: 'throws',
    when: 'broadcasting of batch axes',
    cure: 'summed over the broadcast axes',
    issue: issue(8721),
  },
  {
    op: 'ResizeBilinear',
    was: 'throws',
    when: 'images that are not square',
    cure: 'two products with interpolation matrices',
    backends: ['cpu'],
  },
  {
    op: 'ResizeBilinear, half pixel',
    was: 'silently wrong',
    when: 'halfPixelCenters',
    cure: 'two products with interpolation matrices',
    backends: ['wasm'],
  },
  {
    op: 'ResizeNearestNeighbor',
    was: 'silently wrong',
    when: 'halfPixelCenters',
    cure: 'two products with selection matrices',
    backends: ['cpu', 'wasm'],
  },
  {
    op: 'StridedSlice',
    was: 'missing',
    when: 'always',
    cure: 'reversed, spread by the stride and padded',
  },
  {
    op: 'GatherNd',
    was: 'missing',
    when: 'always',
    cure: 'scatterND',
    issue: issue(1795),
  },
  {
    op: 'ScatterNd',
    was: 'missing',
    when: 'always',
    cure: 'gatherND',
  },
  {
    op: 'TopK',
    was: 'missing',
    when: 'always',
    cure: 'the values scattered back; the indices have no gradient',
    issue: issue(1601),
  },
  {
    op: 'GatherV2',
    was: 'throws',
    when: 'batchDims above 0',
    cure: 'one segment sum over a table of all batches',
  },
  {
    op: 'DepthToSpace',
    was: 'missing',
    when: 'always',
    cure: 'space to depth by reshape and transpose',
  },
  {
    op: 'Einsum',
    was: 'missing',
    when: 'always',
    cure: 'an einsum of dy and the other operand',
    issue: issue(5690),
    backends: ['cpu'],
  },
  {
    op: 'Tile',
    was: 'throws',
    when: 'rank above 4',
    cure: 'the repetitions are summed axis by axis',
  },
  {
    op: 'SplitV, Unpack',
    was: 'throws',
    when: 'into a single part, such as an RNN over one step',
    cure: 'the one gradient is made a list',
  },
  {
    op: 'FusedBatchNorm',
    was: 'throws',
    when: 'without a scale',
    cure: 'undefined inputs are neither saved nor recorded; the scale is optional',
  },
  {
    op: 'Relu',
    was: 'slow',
    when: 'always: it is put together from seven ops',
    cure: 'one op of TensorFlow',
    backends: ['tensorflow'],
  },
  {
    op: 'Sum, Mean',
    was: 'slow',
    when: 'always: a tensor of ones is filled in JavaScript to broadcast the gradient',
    cure: 'tile, which copies blocks',
  },
  {
    op: 'Equal, NotEqual, Greater, Less, LessEqual, LogicalAnd, LogicalOr, LogicalNot, Any, All',
    was: 'missing',
    when: 'on the differentiated path: where(x > 0, …), divNoNan',
    cure: 'a gradient of zero',
  },
  {
    op: 'FloorDiv',
    was: 'silently wrong',
    when: 'always: it gets the gradient of a division',
    cure: 'a gradient of zero',
  },
  {
    op: 'Cast',
    was: 'silently wrong',
    when: 'to int32 or bool: the gradient passes as if nothing were cut',
    cure: 'a gradient of zero',
  },
];

const second: readonly Omit<GradientRepair, 'order'>[] = [
  {
    op: 'Sigmoid, Tanh, Exp, Softmax, logSoftmax and all that is made of them',
    was: 'silently wrong',
    when: 'always: the path through the saved output is lost (alone, "cannot compute gradient")',
    cure: 'the tape node of an op is put in front of the clones of its outputs',
    issue: issue(3252),
  },
  {
    op: 'Max, Min, Maximum, ClipByValue, Relu6, LeakyRelu, Prelu, Selu, Pow, logSumExp',
    was: 'missing',
    when: 'always: their gradients compare, and comparisons had no gradient',
    cure: 'a gradient of zero for comparisons',
  },
  {
    op: 'Conv2DBackpropFilter',
    was: 'missing',
    when: 'always',
    cure: 'conv2d and its transpose',
  },
  {
    op: 'DepthwiseConv2dNativeBackpropFilter, DepthwiseConv2dNativeBackpropInput',
    was: 'missing',
    when: 'always',
    cure: 'depthwiseConv2d and the other one of the two',
  },
  {
    op: 'Conv3DBackpropFilterV2, Conv3DBackpropInputV2',
    was: 'missing',
    when: 'always',
    cure: 'the gradients of conv3d are made of conv3d itself',
  },
  {
    op: 'AvgPoolGrad, AvgPool3DGrad',
    was: 'missing',
    when: 'always',
    cure: 'the average pooling of ddx',
  },
  {
    op: 'MaxPoolGrad, MaxPool3DGrad',
    was: 'missing',
    when: 'always',
    cure: 'ddx where each window has its first maximum',
  },
  {
    op: 'EluGrad',
    was: 'missing',
    when: 'always',
    cure: 'the gradient of elu is written as dy * (min(y, 0) + 1)',
  },
  {
    op: 'ResizeBilinearGrad, ResizeNearestNeighborGrad',
    was: 'missing',
    when: 'always',
    cure: 'the gradients are matrix products',
  },
  {
    op: 'LRNGrad',
    was: 'missing',
    when: 'always',
    cure: 'the gradient is written with sums over neighbouring channels',
  },
];

/**
 * What {@link installGradients} repairs in TensorFlow.js 4.22 and why. The package's tests show
 * every entry that is not merely slow failing without the repair.
 */
export const gradientRepairs: readonly GradientRepair[] = [
  ...first.map((entry) => ({ ...entry, order: 1 as const })),
  ...second.map((entry) => ({ ...entry, order: 2 as const })),
];
