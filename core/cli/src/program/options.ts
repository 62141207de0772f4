import { InvalidArgumentError, Option } from 'commander';

/** An option that may be repeated. */
export function repeatable(flags: string, description: string): Option {
  return new Option(flags, `${description}; can be repeated`)
    .argParser((text: string, before: readonly string[]) => [...before, text])
    .default([], 'none');
}

export function checkpoint(): Option {
  return new Option(
    '--checkpoint <path>',
    'a checkpoint file, or a folder of them (default: the newest checkpoint of the run)',
  );
}

export function allowMismatch(): Option {
  return repeatable(
    '--allow-mismatch <name>',
    'accept this difference between the configuration and the checkpoint',
  );
}

export function concurrency(): Option {
  return new Option(
    '--concurrency <n>',
    'number of trials at the same time (default: one for each core)',
  ).argParser(parsePositiveInteger);
}

function parsePositiveInteger(text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number above 0.');
}

/** A number that sets a field of the configuration, as `--set <field>=<n>`. */
export function fieldOption(field: string, description: string): Option {
  return new Option(`--${field} <n>`, `${description}; short for --set ${field}=<n>`).argParser(
    (text) => {
      if (/^\d+$/.test(text)) return `${field}=${text}`;
      throw new InvalidArgumentError('It must be a whole number.');
    },
  );
}
