import { randomBytes } from 'node:crypto'
import timers from 'node:timers/promises'
import { EventEmitter } from 'node:events'
import { dirname, join, relative, resolve } from 'node:path'
import type { Event, Expectation, Fault, GoldenReplacement, Goldens, SentEvent, StepOutcome } from './api.js'
import { HarnessError, callSite } from './errors.js'
import {
  type AnyEvent,
  type EventRef,
  type InjectedFault,
  type JudgeOptions,
  type Judgement,
  type Mail,
  Stack,
  connectStack,
} from './stack.js'
import type { Duration, StackOptions } from './up.js'
import type * as worker from './worker.js'

/** The stack that tests run on, and their goldens. */
export interface HarnessOptions extends StackOptions {
  goldens?: {
    /** The directory of golden emails. Default: `goldens` beside the test's file. */
    dir?: string
    /** Values in emails that differ from run to run, beside the test's salt. */
    replace?: GoldenReplacement[]
  }
}

/** What a runner knows of a test. @internal */
export interface TestInfo {
  file: string
  name: string
  /** When it began, by {@link now}. */
  began: number
  /** The milliseconds that it may take. */
  timeout: number
  /** The runner was asked to update snapshots. */
  update: boolean
}

/** The milliseconds that a stack may take to start, with servers that are to be built. @internal */
export const startTimeout = 10 * 60_000

/** Returns the stack of this worker. Where the goldens are makes no other stack. @internal */
export async function stackOf({ goldens: _, ...options }: HarnessOptions): Promise<Stack> {
  if (process.env['HARNESS_STACK']) return connectStack()
  const { workerStack } = requireByNode('./worker.js') as typeof worker
  try {
    return await Stack.of(await workerStack(options))
  } catch (error) {
    const { message, code = 'failed' } = error as HarnessError // of another realm, perhaps
    throw new HarnessError(message, code)
  }
}

/**
 * Loads a module by Node itself. In Jest this code is in a realm of its own, with a process and a require of Jest's; functions of
 * Node's modules lead out of it.
 */
function requireByNode(path: string): unknown {
  const { getBuiltinModule } = (EventEmitter.constructor as FunctionConstructor)('return process')() as NodeJS.Process
  return getBuiltinModule('node:module').createRequire(__filename)(path)
}

/** The stack as one test uses it. What the test sends is kept apart from what others send by its {@link salt}. */
export class Harness {
  /** Text that no other test has: letters and digits. */
  readonly salt = randomBytes(5).toString('hex')
  /** How many verdicts are still awaited. */
  private open = 0
  private readonly faults: InjectedFault[] = []
  private readonly undo: (() => Promise<void>)[] = []

  /** @internal */
  constructor(
    /** The stack, which other tests of this worker use, too. */
    readonly stack: Stack,
    private readonly test: TestInfo,
    private readonly options: HarnessOptions,
  ) {}

  /** An email address that no other test has. The same name gives the same address. */
  address(name = 'user'): string {
    return `${name}-${this.salt}@example.test`
  }

  /** An id that no other test has. The same name gives the same id. */
  id(name = 'id'): string {
    return `${name}-${this.salt}`
  }

  /** Sends an event. */
  send(event: Event): Promise<SentEvent> {
    return this.stack.send(event)
  }

  /** Sends an event, unless it was sent, and judges what follows. A verdict that does not hold fails the test with its text. */
  expect(event: AnyEvent, expectation: Expectation, options: JudgeOptions = {}): Promise<Judgement> {
    return this.awaited(this.stack.expect(event, expectation, this.judging(expectation, options)))
  }

  /** Like {@link expect}, but returns a verdict that does not hold. */
  judge(event: AnyEvent, expectation: Expectation, options: JudgeOptions = {}): Promise<Judgement> {
    return this.awaited(this.stack.judge(event, expectation, this.judging(expectation, options)))
  }

  /**
   * Lets time pass for the runs of one event alone, and for those that descend from them, so that other tests are not
   * disturbed. It waits until the event has started a run.
   */
  async skip(event: EventRef, by: Duration): Promise<void> {
    const at = callSite()
    const ends = now() + this.left()
    let { runs } = await this.stack.event(event)
    while (runs.length === 0) {
      if (now() > ends) {
        throw at(
          new HarnessError(
            'the event has started no run for which time could be skipped: stack.skip() skips it for all',
            'failed',
          ),
        )
      }
      await sleep(pollInterval)
      runs = (await this.stack.event(event)).runs
    }
    for (const run of runs) await this.stack.skip({ run: run.id, by })
  }

  /**
   * Makes a fault happen on a wire until the test ends. A test fails if a fault of it has not acted by then. See
   * {@link Stack.fault}.
   */
  async fault(fault: Fault): Promise<InjectedFault> {
    const injected = await this.stack.fault(fault)
    this.faults.push(injected)
    this.undo.push(() => injected.drop())
    return injected
  }

  /** Replaces the results of a step until the test ends, on sim. See {@link Stack.replace}. */
  async replace(functionId: string, step: string, ...outcomes: StepOutcome[]): Promise<void> {
    await this.stack.replace(functionId, step, ...outcomes)
    this.undo.push(() => this.stack.replace(functionId, step))
  }

  /** Compares an email with a golden email. See {@link Stack.golden}. */
  golden(name: string, mail: Mail | string, goldens: Partial<Goldens> = {}): Promise<void> {
    return this.stack.golden(name, mail, { ...this.goldens(), ...goldens })
  }

  /**
   * Takes back what the test has changed, and says how it ended, for report and evidence. A test that did not await its
   * verdict, or whose fault did not act, fails.
   *
   * @internal
   */
  async end(outcome: 'passed' | 'failed' | 'skipped', failures: string[] = []): Promise<void> {
    const { suite, name } = this.testName()
    const why = outcome === 'passed' ? await this.passedInVain() : undefined
    if (why) [outcome, failures] = ['failed', [why]]
    for (const undo of this.undo.splice(0)) await undo()
    const { HARNESS_REPORT: report, HARNESS_EVIDENCE: evidence } = process.env
    await this.stack.endTest({
      suite,
      name,
      outcome,
      failures,
      began: new Date(this.test.began).toISOString(),
      report: report && resolve(report),
      evidence: evidence && resolve(evidence, suite.replace(/^(\.\.\/)+/, ''), name.replace(/[^\w.-]/g, '_')),
    })
    if (why) throw new HarnessError(why, 'invalid')
  }

  /** Says why a test that passed has shown nothing; undefined if it has. */
  private async passedInVain(): Promise<string | undefined> {
    if (this.open > 0) return 'the test ended before its verdict: write `await` before `expect`'
    for (const fault of this.faults) {
      if ((await fault.applied()) === 0) return `a fault of the test has not acted: ${fault.text}`
    }
    return undefined
  }

  private async awaited<T>(verdict: Promise<T>): Promise<T> {
    this.open++
    try {
      return await verdict
    } finally {
      this.open--
    }
  }

  private testName(): { suite: string; name: string } {
    return { suite: relative('', this.test.file).replaceAll('\\', '/'), name: this.test.name }
  }

  private judging(expectation: Expectation, options: JudgeOptions): JudgeOptions {
    const timeout = `${this.left()}ms`
    const golden = expectation.mail?.some((mail) => mail.golden) ? this.goldens() : undefined
    return { timeout, test: this.testName(), ...options, golden: golden && { ...golden, ...options.golden } }
  }

  private goldens(): Goldens {
    const { dir = join(dirname(this.test.file), 'goldens'), replace = [] } = this.options.goldens ?? {}
    const update = this.test.update || process.env['HARNESS_UPDATE'] === '1'
    return { dir, update, replace: [{ old: this.salt, new: '{{salt}}' }, ...replace] }
  }

  /** How many milliseconds to wait: less than the test may take, since a verdict says more than a runner whose time is up. */
  private left(): number {
    const left = this.test.timeout * usedForWaiting - (now() - this.test.began)
    return Math.round(Math.min(defaultTimeout, Math.max(left, minTimeout)))
  }
}

const defaultTimeout = 10_000
const minTimeout = 100
const usedForWaiting = 0.8
const pollInterval = 20

/** Node's own clock, also where a test puts a fake one in its place. @internal */
export const { now } = Date
const sleep = timers.setTimeout

/** The tests that are running, by file and name. */
const running = new Map<string, Harness>()

/** Begins a test: returns its harness, by which the matcher finds it until the end. @internal */
export async function beginTest(test: TestInfo, options: HarnessOptions): Promise<Harness> {
  const harness = new Harness(await stackOf(options), test, options)
  running.set(key(test), harness)
  return harness
}

/** Ends a test. @internal */
export async function endTest(
  test: TestInfo,
  outcome: 'passed' | 'failed' | 'skipped',
  failures?: string[],
): Promise<void> {
  const harness = running.get(key(test))
  running.delete(key(test))
  await harness?.end(outcome, failures)
}

/** Runs a test from its beginning to its end. @internal */
export async function runTest(
  test: TestInfo,
  options: HarnessOptions,
  body: (harness: Harness) => unknown,
): Promise<void> {
  const harness = await beginTest(test, options)
  try {
    await body(harness)
  } catch (error) {
    await endTest(test, 'failed', [error instanceof Error ? error.message : String(error)]).catch(() => {}) // it says less
    throw error
  }
  await endTest(test, 'passed')
}

function key(test: { file: string; name: string }): string {
  return `${test.file} ${test.name}`
}

/** What Vitest and Jest tell a matcher. @internal */
export interface MatcherState {
  isNot?: boolean
  testPath?: string
  currentTestName?: string
}

/** The matcher of Vitest and Jest. Its failure is the text of the verdict. @internal */
export async function toLeadTo(
  this: MatcherState,
  event: AnyEvent,
  expectation: Expectation,
  options?: JudgeOptions,
): Promise<{ pass: boolean; message: () => string }> {
  if (this.isNot) {
    throw new HarnessError(
      'toLeadTo cannot be negated: say what must not happen by absent, noOtherRuns or noOtherMail',
      'invalid',
    )
  }
  const harness = running.get(key({ file: this.testPath ?? '', name: this.currentTestName ?? '' }))
  if (!harness) {
    throw new HarnessError(
      'toLeadTo is for tests made by harnessTest; concurrent tests take expect from their context',
      'invalid',
    )
  }
  const verdict = await harness.judge(event, expectation, options)
  return { pass: verdict.outcome === 'holds', message: () => verdict.text }
}
