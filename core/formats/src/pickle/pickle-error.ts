import { EspalierError } from '@espalier/base';

const SAVE =
  "In Python: torch.save(model.state_dict(), 'state.pt'), or safetensors.torch.save_file.";

export function invalidPickleError(problem: string, at: number): EspalierError {
  return new EspalierError('pickle/invalid', {
    problem: `this is not a sound pickle: ${problem} at byte ${at}`,
    fix: 'Take another copy of the file, or write it again.',
    details: { at },
  });
}

export function foreignOpcodeError(opcode: string, at: number): EspalierError {
  return new EspalierError('pickle/opcode', {
    problem: `the pickle has the opcode ${opcode} at byte ${at}, which state dicts do not need`,
    fix: `Only state dicts are read, and nothing is executed. ${SAVE}`,
    details: { opcode, at },
  });
}

export function foreignGlobalError(name: string, at: number): EspalierError {
  return new EspalierError('pickle/global', {
    problem: `the pickle asks for ${name} at byte ${at}, which state dicts do not need`,
    fix: `Only state dicts are read, and nothing is executed. ${SAVE}`,
    details: { name, at },
  });
}
