import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { EventEmitter } from 'node:events'
import { dirname, join, relative, resolve } from 'node:path'
import type {
  Event,
  Expectation,
  Fault,
  GoldenReplacement,
  Goldens,
  SentEvent,
  StepOutcome,
  Stub,
  TestEnd,
} from './api.js'
import { HarnessError } from './errors.js'
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
  /** What tells it from other tests of its name, and is the same whenever it is tried. */
  id: unknown
  /** It is expected to fail. */
  fails?: boolean
  /** What it shows is still to be done: it may fail, and counts as skipped then. It may say so while it runs. */
  todo?: boolean
  /** It has skipped itself. */
  skipped?: boolean
  /** When it began, by {@link now}. */
  began: number
  /** The milliseconds that it may take. */
  timeout: number
  /** The runner was asked to update snapshots. */
  update: boolean
}

/** The milliseconds that a stack may take to start, with servers that are to be built. @internal */
export const startTimeout = 10 * 60_000

/** Returns the stack of this worker. An app that is not what its sources say is none to test. @internal */
export async function stackOf(options: HarnessOptions): Promise<Stack> {
  const stack = await anyStackOf(options)
  if (stack.state.outdated) throw new HarnessError(stack.state.outdated, 'failed')
  return stack
}

/** Where the goldens are makes no other stack. */
async function anyStackOf({ goldens: _, ...options }: HarnessOptions): Promise<Stack> {
  if (process.env['HARNESS_STACK']) return connectStack()
  const { workerStack } = requireByNode('./worker.js') as typeof worker
  for (let first = true; ; first = false) {
    try {
      return await Stack.of(await workerStack(options))
    } catch (error) {
      const { message, code = 'failed' } = error as HarnessError // of another realm, perhaps
      if (first && code === 'unreachable') continue // it was about to end
      throw new HarnessError(message, code)
    }
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

/** How a test ended. @internal */
export type Outcome = 'passed' | 'failed' | 'skipped'

/** The run of the tests: its records replace those of earlier ones on a stack that stays up. */
const run = randomUUID()

/** The stack as one test uses it. What the test sends is kept apart from what others send by its {@link salt}. */
export class Harness {
  /** Text that no other test has: letters and digits. */
  readonly salt = randomBytes(5).toString('hex')
  /** How many verdicts are still awaited. */
  private open = 0
  private ended = false
  private readonly faults: InjectedFault[] = []
  private readonly replaced: [functionId: string, step: string][] = []
  private readonly undo: (() => Promise<void>)[] = []
  private stubs = 0
  private readonly name: string

  /** @internal */
  constructor(
    /** The stack, which other tests of this worker use, too. */
    readonly stack: Stack,
    /** @internal */
    readonly test: TestInfo,
    private readonly options: HarnessOptions,
  ) {
    this.name = distinctName(test)
  }

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
   * Lets time pass for what one event leads to alone: the runs that it starts, those that descend from them, and the throttles,
   * debounces and batches in which they wait. Other tests are not disturbed.
   */
  async skip(event: EventRef, by: Duration): Promise<void> {
    await this.stack.skip({ event, by })
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

  /**
   * Replaces the results of a step until the test ends, on sim. A test fails if no run has reached the step by then. See
   * {@link Stack.replace}.
   */
  async replace(functionId: string, step: string, ...outcomes: StepOutcome[]): Promise<void> {
    await this.stack.replace(functionId, step, ...outcomes)
    this.replaced.push([functionId, step])
    this.undo.push(() => this.stack.replace(functionId, step))
  }

  /** Answers requests that steps let sim make, until the test ends. See {@link Stack.stub}. */
  async stub(...stubs: Stub[]): Promise<void> {
    const named = stubs.map((stub) => ({ ...stub, id: stub.id ?? `${this.salt}-${++this.stubs}` }))
    await this.stack.stub(...named)
    this.undo.push(() => this.stack.unstub(...named.map(({ id }) => id)))
  }

  /** Compares an email with a golden email. See {@link Stack.golden}. */
  golden(name: string, mail: Mail | string, goldens: Partial<Goldens> = {}): Promise<void> {
    return this.stack.golden(name, mail, { ...this.goldens(), ...goldens })
  }

  /**
   * Takes back what the test has changed, and says how it ended, for report and evidence. A test that did not await its
   * verdict, whose fault did not act, or that replaced a step in vain, fails.
   *
   * @internal
   */
  async end(outcome: Outcome, failures: string[] = []): Promise<void> {
    this.ended = true
    const { suite, name } = this.testName()
    const { skipped, fails, todo } = this.test
    if (skipped && outcome === 'passed') outcome = 'skipped'
    const why = outcome === 'passed' ? await this.passedInVain() : undefined
    if (why) [outcome, failures] = ['failed', [why]]
    const passed = outcome === 'passed'
    if (fails && passed) {
      ;[outcome, failures] = ['failed', ['the test is expected to fail, and passed']]
    } else if (outcome === 'failed' && (fails || todo)) {
      ;[outcome, failures] = [fails ? 'passed' : 'skipped', []]
    }
    const { HARNESS_REPORT: report, HARNESS_EVIDENCE: evidence } = process.env
    const end: TestEnd = {
      suite,
      name,
      outcome,
      failures,
      began: new Date(this.test.began).toISOString(),
      run,
      report: report && resolve(report),
      evidence: evidence && resolve(evidence, suite.replace(/^(\.\.\/)+/, ''), directoryName(name)),
    }
    try {
      const kept = await this.takeBack()
      if (kept && passed && !fails) Object.assign(end, { outcome: 'failed', failures: [kept.message] })
      await this.stack.endTest(end)
      if (kept) throw kept
    } catch (error) {
      // A test that has ended its stack, by crashing the app say, is recorded by the next one, whose logs are no evidence.
      const { code, message } = error as HarnessError
      if (code !== 'unreachable' || process.env['HARNESS_STACK']) throw error
      if (passed && !fails) Object.assign(end, { outcome: 'failed', failures: [message] })
      if (end.evidence && end.outcome === 'failed') {
        mkdirSync(end.evidence, { recursive: true })
        writeFileSync(join(end.evidence, 'app.log'), `${this.stack.log()}\n`)
      }
      if (report) await (await anyStackOf(this.options)).endTest({ ...end, evidence: undefined })
      if (passed) throw error
    }
    if (why) throw new HarnessError(why, 'invalid')
  }

  /** Takes back what the test has changed: each change, also when that of another fails. Returns the first failure. */
  private async takeBack(): Promise<HarnessError | undefined> {
    let failure: HarnessError | undefined
    for (const undo of this.undo.splice(0)) {
      try {
        await undo()
      } catch (error) {
        failure ??= error as HarnessError
      }
    }
    return failure
  }

  /** Says why a test that passed has shown nothing; undefined if it has. */
  private async passedInVain(): Promise<string | undefined> {
    if (this.open > 0) return 'the test ended before its verdict: write `await` before `expect`'
    for (const fault of this.faults) {
      // It may be about to: an expectation can hold before the answer that is to be lost.
      if ((await fault.applied('2s')) === 0) return `a fault of the test has not acted: ${fault.text}`
    }
    for (const [functionId, step] of this.replaced) {
      const reached = await this.stack.restore(functionId, step).catch(() => true) // taking it back fails in the same way
      if (!reached) return `no run has reached a step that the test replaced: ${step} of ${functionId}`
    }
    return undefined
  }

  /** Counts a verdict until it is there. After the end of the test, which says that it was not awaited, it goes nowhere. */
  private async awaited<T>(verdict: Promise<T>): Promise<T> {
    const late = this.ended // the end of the test has not counted it
    this.open++
    try {
      return await verdict
    } finally {
      this.open--
      if (this.ended && !late) await new Promise(() => {})
    }
  }

  private testName(): { suite: string; name: string } {
    return { suite: relative('', this.test.file).replaceAll('\\', '/'), name: this.name }
  }

  private judging(expectation: Expectation, options: JudgeOptions): JudgeOptions {
    const timeout = `${this.left()}ms`
    const golden = [expectation?.mail ?? []].flat().some((mail) => mail?.golden) ? this.goldens() : undefined
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

/** Node's own clock, also where a test puts a fake one in its place. @internal */
export const { now } = Date

/** The ids of the tests of one file and name, in the sequence in which they began. */
const namesakes = new Map<string, unknown[]>()

/** Returns the name of a test; of a further one with the same name in its file, with a number. */
function distinctName(test: TestInfo): string {
  const ids = namesakes.get(key(test)) ?? []
  namesakes.set(key(test), ids)
  if (!ids.includes(test.id)) ids.push(test.id)
  const n = ids.indexOf(test.id) + 1
  return n === 1 ? test.name : `${test.name} (${n})`
}

/** Returns the name of a directory for the evidence of a test, which no other test of its file has. */
function directoryName(test: string): string {
  const name = test.replace(/[^\p{L}\p{N}_.-]/gu, '_')
  if (/^[a-zA-Z0-9][a-zA-Z0-9 .-]{0,99}$/.test(test)) return name // it can be told from the name of any other
  return `${name.slice(0, 60).replace(/^\./, '_')}-${createHash('sha256').update(test).digest('hex').slice(0, 8)}`
}

/** The tests that are running, by file and name. */
const running = new Map<string, Set<Harness>>()

/** Begins a test: returns its harness, by which the matcher finds it until the end. @internal */
export async function beginTest(test: TestInfo, options: HarnessOptions): Promise<Harness> {
  const harness = new Harness(await stackOf(options), test, options)
  const all = running.get(key(test)) ?? new Set()
  running.set(key(test), all.add(harness))
  return harness
}

/** Ends a test. @internal */
export async function endTest(harness: Harness, outcome: Outcome, failures?: string[]): Promise<void> {
  const of = key(harness.test)
  running.get(of)?.delete(harness)
  if (running.get(of)?.size === 0) running.delete(of)
  await harness.end(outcome, failures)
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
    await endTest(harness, 'failed', [error instanceof Error ? error.message : String(error)]).catch(() => {}) // it says less
    throw error
  }
  await endTest(harness, 'passed')
}

function key(test: { file: string; name: string }): string {
  return `${test.file} ${test.name}`
}

/** What Vitest and Jest tell a matcher. @internal */
export interface MatcherState {
  isNot?: boolean
  testPath?: string
  currentTestName?: string
  /** Of Vitest alone. */
  task?: { id: string }
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
  const { testPath: file = '', currentTestName: name = '', task } = this
  const namesakes = [...(running.get(key({ file, name })) ?? [])]
  const harness = namesakes.find(({ test }) => test.id === task?.id) ?? namesakes.at(-1)
  if (!harness) {
    throw new HarnessError(
      'toLeadTo is for tests made by harnessTest; concurrent tests take expect from their context',
      'invalid',
    )
  }
  const verdict = await harness.judge(event, expectation, options)
  return { pass: verdict.outcome === 'holds', message: () => verdict.text }
}
