import { Callback as LayersCallback, CustomCallback } from '@tensorflow/tfjs-layers';
import type { CustomCallbackArgs } from '@tensorflow/tfjs-layers';
import type { Callback } from './compiled-model.js';

/** What `fit` of tfjs takes as callbacks. */
export type GivenCallbacks = OneCallback | readonly OneCallback[] | null | undefined;
type OneCallback = Callback | CustomCallbackArgs;

const BaseCallback = Object.getPrototypeOf(LayersCallback) as new () => Callback;

/** Callbacks as tfjs makes them of what it was given: objects of functions become callbacks. */
export function toCallbacks(given: GivenCallbacks, yieldEvery: unknown): readonly Callback[] {
  const list = [given ?? []].flat() as OneCallback[];
  if (list[0] instanceof BaseCallback) return list as Callback[];
  return list.map(
    (each) => new CustomCallback(each as CustomCallbackArgs, yieldEvery as never) as Callback,
  );
}
