// `npm start`: both methods on real data, one after the other. Options go to digits/main; `--out`
// is the folder of both.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const { out, rest } = takeOut(process.argv.slice(2));
await run('digits/main.js', ['--out', join(out, 'digits'), ...rest]);
console.log('\n\nGroupReduce: a language model made small\n');
await run('group-reduce/main.js', [
  ...['--out', join(out, 'group-reduce')],
  ...['--rows', 'SVD,better importance,8-bit', '--ratios', '8', '--blocks', '5'],
  ...['--retrain-words', '15000'],
]);

async function run(program: string, args: readonly string[]): Promise<void> {
  const path = fileURLToPath(new URL(program, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], { stdio: 'inherit' });
  // Ctrl-C reaches the child by itself; this process waits for what the child makes of it.
  const wait = () => undefined;
  process.on('SIGINT', wait);
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  process.off('SIGINT', wait);
  if (code !== 0) process.exit(code ?? (signal === 'SIGINT' ? 130 : 1));
}

function takeOut(args: readonly string[]): { out: string; rest: readonly string[] } {
  const at = args.findIndex((arg) => arg === '--out' || arg.startsWith('--out='));
  if (at < 0) return { out: 'runs', rest: args };
  const inline = args[at]!.startsWith('--out=');
  const out = inline ? args[at]!.slice('--out='.length) : (args[at + 1] ?? 'runs');
  return { out, rest: args.filter((_, i) => i !== at && (inline || i !== at + 1)) };
}
