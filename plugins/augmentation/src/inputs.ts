import { EspalierError, suggest, toCanonicalName } from '@espalier/core';
import type { Batch, PluginContext } from '@espalier/core';
import type { Tensor, Tensor4D } from '@tensorflow/tfjs-core';

type Shape = readonly (number | null)[];

/** What every plugin of this package may do. */
export type InputContext = PluginContext<{ 'batch:inputs': 'modify' }>;

/** Which plugin speaks, and the input that its options name. */
export interface InputRequest {
  readonly plugin: string;
  readonly input: string | undefined;
}

/**
 * The input to change: the one named, or the only one.
 *
 * @throws EspalierError `<plugin>/input`.
 */
export function findInput(
  { model }: InputContext,
  { plugin, input: wanted }: InputRequest,
): string {
  const names = model.inputNames;
  const input = wanted && toCanonicalName(wanted, names, model.ownNames);
  if (input === undefined && names.length === 1) return names[0]!;
  if (input !== undefined && names.includes(input)) return input;
  throw new EspalierError(`${plugin}/input`, {
    problem:
      input === undefined
        ? `the model has ${names.length} inputs, and none is named`
        : `the model has no input '${input}'`,
    received: input ?? names,
    fix: input === undefined ? 'Name one with the option input.' : suggest(input, names),
  });
}

/**
 * The input to change, which must hold images.
 *
 * @param checkSides refuses images of unfit height and width; null: not known before a batch.
 * @throws EspalierError `<plugin>/input`, `<plugin>/images`, and what `checkSides` throws.
 */
export function imageInput(
  ctx: InputContext,
  asking: InputRequest,
  checkSides: (sides: Shape) => void = () => undefined,
): (batch: Batch) => readonly [name: string, images: Tensor4D] {
  const name = findInput(ctx, asking);
  const check = (shape: Shape) => {
    checkImages(asking.plugin, name, shape);
    checkSides(shape.slice(1, 3));
  };
  check([null, ...ctx.model.layers.find((layer) => layer.name === name)!.outputShape]);
  return ({ inputs }) => {
    check(inputs[name]!.shape);
    return [name, inputs[name] as Tensor4D];
  };
}

/** The batch with another tensor for one input. */
export function withInput(batch: Batch, name: string, tensor: Tensor): Batch {
  return { ...batch, inputs: { ...batch.inputs, [name]: tensor } };
}

/**
 * Refuses targets that are maps of the image, which would have to be moved along.
 *
 * @throws EspalierError `<plugin>/maps`.
 */
export function refuseMaps({ model, losses }: InputContext, plugin: string): void {
  const map = Object.keys(losses).find((output) => model.outputShapes[output]!.length > 3);
  if (map === undefined) return;
  throw new EspalierError(`${plugin}/maps`, {
    problem: `the targets of output '${map}' are maps of the image, and do not move with its pixels`,
    received: model.outputShapes[map],
    fix: 'Change image and map together in the source, and leave this plugin out.',
  });
}

function checkImages(plugin: string, name: string, shape: Shape): void {
  if (shape.length === 4) return;
  throw new EspalierError(`${plugin}/images`, {
    problem: `the input '${name}' holds no images [batch, height, width, channels]`,
    received: shape,
    fix: 'Name the input that does with the option input, or leave this plugin out.',
  });
}
