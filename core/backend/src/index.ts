import { cpu } from './candidates/cpu.js';
import { wasm } from './candidates/wasm.js';
import { nodeCpu, nodeGpu } from './node/native.js';
import { refuseSecondCore } from './node/second-core.js';
import { nodeHost } from './node/wasm-host.js';
import { webgpu } from './node/webgpu.js';
import { makeBackendChoice } from './use-backend.js';

export * from './shared.js';
export { refuseSecondCore };

const choice = makeBackendChoice({
  candidates: [nodeGpu, nodeCpu, webgpu, wasm(nodeHost), cpu],
  others: 'it runs in a browser only',
  alwaysHasWasm: true,
  refuseSecondCore,
});

/**
 * Chooses the fastest backend that works here, sets it, and makes it able to train: missing and slow
 * kernels ({@link installKernels}), wrong gradients ({@link installGradients}) and methods that layers
 * call in vain ({@link installTensorMethods}) are replaced until `dispose()`. Order: `@tensorflow/tfjs-node-gpu`, `@tensorflow/tfjs-node`, webgpu, wasm, cpu.
 *
 * Calling it again with the same choice changes nothing; what is installed goes when every caller
 * has disposed.
 *
 * @throws EspalierError `backend/unknown-name` or `backend/prefer-empty` for what `prefer` holds,
 * `backend/threads` for a number of threads that is none, `backend/none-available` if none of the
 * backends works, `backend/threads-in-use` or `backend/wasm-running` if wasm would have to change its
 * threads while it runs, `backend/second-core` if two copies of tfjs-core are loaded.
 * @example
 * ```ts
 * const backend = await useBackend();
 * console.log(backend.line); // backend wasm (@tensorflow/tfjs-backend-wasm 4.22.0, SIMD, 1 thread); …
 * // … train …
 * backend.dispose();
 * ```
 */
export const useBackend = choice.useBackend;

/**
 * Makes the current backend able to train, as {@link useBackend} does, or chooses one where none is
 * current. A backend that is none of ours is kept too, with a warning. In Node TensorFlow.js
 * takes its plain cpu backend by itself as soon as a tensor is made, unless another is registered: then
 * the fastest takes its place, and {@link BackendInfo.warning} says so. A program that has set 'cpu' where
 * nothing else was registered looks the same: `useBackend({ prefer: 'cpu' })` stays there.
 *
 * @throws EspalierError `backend/unfit` where the current one keeps numbers in 16 bits (webgl on some
 * cards), `backend/second-core` if two copies of tfjs-core are loaded.
 * @example
 * ```ts
 * const { line, warning } = await keepBackend();
 * ```
 */
export const keepBackend = choice.keepBackend;
