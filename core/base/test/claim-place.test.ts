import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { EspalierError } from '@espalier/base';
import { claimPlace, makeFolder } from '@espalier/base/node';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';

const root = fs.mkdtempSync(join(tmpdir(), 'espalier-claim-'));
afterAll(() => fs.rmSync(root, { recursive: true }));

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(join(root, 'run-'));
});

const ownerFile = () => join(folder, '.owner.json');

/** Leaves the file of a process that differs from this one. */
function leaveOwner(changes: object): void {
  claimPlace(folder);
  const own = JSON.parse(fs.readFileSync(ownerFile(), 'utf8')) as object;
  fs.writeFileSync(ownerFile(), JSON.stringify({ ...own, ...changes, id: 'left' }));
}

function refusal(work: () => unknown): EspalierError {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(EspalierError);
    return error as EspalierError;
  }
  throw new Error('it was not refused');
}

describe('a place', () => {
  it('is one claim’s until that gives it back, and no other file is left', () => {
    const first = claimPlace(folder);
    const error = refusal(() => claimPlace(folder));
    expect(error.code).toBe('place/in-use');
    expect(error.message).toContain(`process ${process.pid} (this process) on ${hostname()}`);
    first.check();
    first.release();
    const second = claimPlace(folder);
    expect(fs.readdirSync(folder)).toEqual(['.owner.json']);
    second.release();
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  it.each<[string, () => object]>([
    ['has ended', () => ({ pid: spawnSync(process.execPath, ['--version']).pid })],
    ['had this id before another one', () => ({ start: 'earlier' })],
  ])('of a process that %s is free', (_, changes) => {
    leaveOwner(changes());
    claimPlace(folder).check();
  });

  it.runIf(process.platform === 'linux')('of before the system began is free', () => {
    leaveOwner({ boot: 'earlier' });
    claimPlace(folder).check();
  });

  it.each<[string, object, string]>([
    ['on another host', { host: 'far' }, `far:${process.pid}`],
    ['in another container', { namespace: 'pid:[1]' }, `${hostname()}:${process.pid}`],
  ])('of a process %s is refused unless taken over by name', (_, changes, takeOver) => {
    leaveOwner(changes);
    const before = fs.readFileSync(ownerFile(), 'utf8');
    const error = refusal(() => claimPlace(folder, { takeOver: 'far:0' }));
    expect(error.message).toContain(`takeOver: '${takeOver}'`);
    expect(error.parts.details).toEqual({ takeOver });
    expect(fs.readFileSync(ownerFile(), 'utf8')).toBe(before);
    claimPlace(folder, { takeOver }).check();
  });

  it.each(['', '{"pid":', 'null', '{"host":1}'])('whose file says %j is refused', (text) => {
    fs.writeFileSync(ownerFile(), text);
    const error = refusal(() => claimPlace(folder));
    expect(error.message).toContain("takeOver: 'unknown'");
    claimPlace(folder, { takeOver: 'unknown' }).check();
  });

  it('that runs on this host cannot be taken over by name', () => {
    claimPlace(folder);
    const takeOver = `${hostname()}:${process.pid}`;
    expect(refusal(() => claimPlace(folder, { takeOver })).code).toBe('place/in-use');
  });

  it('that was taken over is no longer the first one’s, who leaves it to the second', () => {
    const first = claimPlace(folder);
    fs.writeFileSync(ownerFile(), '');
    const second = claimPlace(folder, { takeOver: 'unknown' });
    expect(refusal(() => first.check()).code).toBe('place/taken-over');
    first.release();
    second.check();
  });
});

describe('folders', () => {
  it('are made with those around them, and may be there', () => {
    const path = join(folder, 'a', 'b\\c', 'd');
    makeFolder(path);
    makeFolder(path);
    expect(fs.statSync(path).isDirectory()).toBe(true);
  });

  it('below a file are refused', () => {
    fs.writeFileSync(join(folder, 'file'), '');
    expect(() => makeFolder(join(folder, 'file', 'below'))).toThrow(/ENOTDIR|EEXIST/);
  });

  it.runIf(process.platform === 'linux')('in /proc are refused', () => {
    expect(() => makeFolder('/proc/espalier/runs')).toThrow('ENOENT');
  });
});
