import { EspalierError } from '@espalier/base';
import type { PyTorchModule } from './modules.js';

/**
 * What the layers of a module are called: TensorFlow.js takes letters and digits of ASCII, and `-`, `.`, `_`, `/`
 * behind the first.
 */
export function nameLayers(module: PyTorchModule): readonly string[] {
  const { name, kind } = module;
  const sound = name.replace(/[^-\w./]/g, '_');
  const begun = /^[a-z\d]/i.test(sound) ? sound : kind + sound;
  const count = 'layers' in module ? module.layers : 1;
  return count === 1 ? [begun] : Array.from({ length: count }, (_, k) => `${begun}_l${k}`);
}

/** @throws EspalierError `pytorch/alike` where layers of two modules would have one name. */
export function refuseAlike(modules: readonly PyTorchModule[]): void {
  const owners = new Map<string, string>();
  for (const module of modules) {
    for (const layer of nameLayers(module)) {
      const other = owners.get(layer);
      if (other !== undefined) throw alikeError([other, module.name], layer);
      owners.set(layer, module.name);
    }
  }
}

function alikeError(modules: readonly string[], layer: string): EspalierError {
  return new EspalierError('pytorch/alike', {
    problem: `the modules '${modules.join("' and '")}' would both be the layer '${layer}' in TensorFlow.js, which takes letters, digits, '-', '.', '_' and '/' in names`,
    received: modules,
    fix: 'Rename the tensors of one of them before saving.',
  });
}
