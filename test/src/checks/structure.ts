import { appendLayers, keepOutputs, loadLatest, memoryStore } from '@espalier/core';
import type {
  Checkpoint,
  CheckpointStore,
  ModelGraph,
  Plugin,
  PluginContext,
  RunManifest,
  Session,
} from '@espalier/core';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { firstDifference, liveTensors, valuesOf, withSession } from '../compare.js';
import type { Values } from '../compare.js';
import { demand } from '../fail.js';
import { openSession } from '../subject.js';
import type { Subject } from '../subject.js';

/**
 * Structure changes: beside a companion that adds, drops and reshapes parameters in the middle of a
 * run, training goes on, what is kept of parameters that are gone is dropped, a checkpoint of the
 * changed run resumes bit for bit, and no tensor outlives it.
 */
export async function checkStructureChanges(subject: Subject): Promise<void> {
  const before = liveTensors();
  const store = memoryStore();
  const whole = await withSession(openBeside(subject), async (session) => {
    await trainSteps(session);
    await session.evaluate();
    await trying('changing the structure', () => session.transform({ plugins: [CHANGER] }));
    await session.save(store);
    demandFollowed(subject, await newest(store));
    return trying('training behind it', () => trainSteps(session));
  });
  const resumed = await withSession(openBeside(subject), async (session) => {
    await trying('loading a changed run', () => session.load({ store }));
    return trainSteps(session);
  });
  const differing = firstDifference(whole, resumed);
  demand(
    differing === undefined,
    CHECK,
    `a run resumed after a change of structure ends elsewhere than an undisturbed one, first in '${differing}'`,
  );
  const left = liveTensors() - before;
  demand(left === 0, CHECK, `${left} tensors outlive a run whose structure changed`);
}

const CHECK = 'structure changes';
const ADVICE =
  'what is kept by parameter path follows in a structureChange tap: state = followPaths(state, change)';

async function trying<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    demand(false, CHECK, `${what} fails: ${String(error)}; ${ADVICE}`);
    throw error;
  }
}

/** Trains two steps. */
async function trainSteps(session: Session): Promise<Values> {
  const stop = new AbortController();
  const end = session.clock.step + 2;
  session.telemetry.on('step', ({ step }) => void (step >= end && stop.abort()));
  await session.fit({ epochs: 2, signal: stop.signal });
  return valuesOf(session.parameters());
}

async function newest(store: CheckpointStore): Promise<Checkpoint> {
  return (await loadLatest(store, () => undefined))!;
}

/** Looks for what is kept under names of parameters that are gone, or in their old shape. */
function demandFollowed({ name: subject }: Subject, { manifest, tensors }: Checkpoint): void {
  const { states } = manifest as RunManifest;
  const stale = [
    ...[...tensors]
      .filter(([name]) => name.startsWith('states/'))
      .filter(([name, { shape }]) => isStale(name, shape))
      .map(([name]) => name),
    ...Object.entries(states)
      .filter(([, { json }]) => JSON.stringify(json ?? null).includes(`${DROPPED}/`))
      .map(([id]) => `the JSON of '${id}'`),
  ];
  demand(
    stale.length === 0,
    CHECK,
    `case '${subject}' still keeps state of parameters that are gone: ${stale.join(', ')}; ${ADVICE}`,
  );
}

function isStale(name: string, shape: readonly number[]): boolean {
  if (name.includes(`${DROPPED}/`)) return true;
  return name.includes(`${RESHAPED}/`) && shape.at(-1) === UNITS.before;
}

const CHANGER = 'testkit-changer';
const [DROPPED, RESHAPED, ADDED] = ['testkit_dropped', 'testkit_reshaped', 'testkit_added'];
const UNITS = { before: 2, after: 3 };

function openBeside(subject: Subject): Promise<Session> {
  const companions = subject.companions?.() ?? [];
  const others = companions.map(({ id }) => id);
  const beside = { ...subject, companions: () => [...companions, changer(others)] };
  return openSession(beside, { more: { logInterval: 1 } });
}

/**
 * A plugin with layers of its own behind the model's, trained by a term of its own. Its `transform`
 * drops one, gives one another shape and adds one.
 */
function changer(others: readonly string[]): Plugin {
  return {
    id: CHANGER,
    version: '1.0.0',
    apiVersion: 1,
    effects: { loss: 'add', 'structure:testkit': 'add' },
    order: { after: others },
    stateless: true,
    options: {},
    apply(context) {
      const ctx = context as PluginContext<{ loss: 'add'; structure: 'add' }>;
      const [own] = ctx.model.ownOutputs;
      const append = (graph: ModelGraph, layers: Readonly<Record<string, number>>) =>
        Object.entries(layers).reduce((edited, [name, units]) => {
          const layer = tfl.layers.dense({ name, units });
          return appendLayers(edited, { after: own!, layers: [layer], output: true });
        }, graph);
      ctx.edit((graph) => append(graph, { [DROPPED]: UNITS.before, [RESHAPED]: UNITS.before }));
      ctx.hooks.transform.tap(() => {
        if (ctx.model.outputNames.includes(ADDED)) return;
        const kept = ctx.model.outputNames.filter((name) => ![DROPPED, RESHAPED].includes(name));
        ctx.edit((graph) =>
          append(keepOutputs(graph, kept), { [RESHAPED]: UNITS.after, [ADDED]: UNITS.before }),
        );
      });
      ctx.hooks.loss.tap(({ outputs, terms }) => {
        for (const [name, output] of Object.entries(outputs)) {
          if ([DROPPED, RESHAPED, ADDED].includes(name)) {
            terms.add(name, tf.mean(tf.square(output)) as tf.Scalar, { weight: 0.01 });
          }
        }
      });
    },
  };
}
