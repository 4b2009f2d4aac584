/** Tests on a stack, with Jest. */
import {
  type Harness,
  type HarnessOptions,
  type TestInfo,
  now,
  runTest,
  stackOf,
  startTimeout,
  toLeadTo,
} from './fixture.js'
import type { Expectation, JudgeOptions } from './index.js'

export type { Harness, HarnessOptions } from './fixture.js'

interface Matcher {
  /** Sends the event, unless it was sent, and judges what follows from it. The failure is the text of the verdict. */
  toLeadTo(expectation: Expectation, options?: JudgeOptions): Promise<void>
}

declare module 'expect' {
  // eslint-disable-next-line
  interface Matchers<R extends void | Promise<void>, T = unknown> extends Matcher {}
}

declare global {
  namespace jest {
    interface Matchers<R, T = {}> extends Matcher {}
  }
}

/** A test on a stack. */
export type TestBody = (context: { harness: Harness }) => unknown

/** Declares a test. */
export interface DeclareTest {
  (name: string, body: TestBody, timeout?: number): void
}

/** Declares a test for each row of a table, with what is in the row before its context. */
export interface DeclareEach {
  <Row extends readonly [unknown, ...unknown[]]>(
    table: readonly Row[],
  ): (name: string, body: (...args: [...Row, { harness: Harness }]) => unknown, timeout?: number) => void
  <Row>(
    table: readonly Row[],
  ): (name: string, body: (row: Row, context: { harness: Harness }) => unknown, timeout?: number) => void
}

/** Jest's `test`, with a `harness` for each test. */
export interface HarnessTest extends DeclareTest {
  each: DeclareEach
  only: DeclareTest
  skip: DeclareTest
  failing: DeclareTest
  todo(name: string): void
}

/**
 * Returns Jest's `test` with a `harness` for each test: a stack that each worker starts once, and a salt. It also gives
 * `expect` the matcher `toLeadTo`.
 */
export function harnessTest(options: HarnessOptions): HarnessTest {
  const { test, expect, beforeAll } = require('@jest/globals') as typeof import('@jest/globals')
  expect.extend({ toLeadTo })
  beforeAll(async () => void (await stackOf(options)), startTimeout) // it is no part of a test's time
  const run = (body: (...args: any[]) => unknown, fails: boolean) => {
    const rows: unknown[][] = [] // of its table; a test without one has one that is empty
    return (...row: unknown[]) => {
      const same = rows.find((other) => other.every((value, i) => Object.is(value, row[i])))
      if (!same) rows.push(row)
      const { testPath, currentTestName, snapshotState } = expect.getState() as JestState
      const info: TestInfo = {
        file: testPath ?? '',
        name: currentTestName ?? '',
        id: same ?? row,
        fails,
        began: now(),
        timeout: testTimeout(),
        update: snapshotState?._updateSnapshot === 'all',
      }
      return runTest(info, options, (harness) => body(...row, { harness }))
    }
  }
  const declare =
    (as: (name: string, body: () => Promise<void>, timeout?: number) => void, fails = false): DeclareTest =>
    (name, body, timeout) =>
      as(name, run(body, fails), timeout)
  const each =
    (table: readonly unknown[]) =>
    (name: string, body: (...args: any[]) => unknown, timeout?: number): void =>
      test.each(table as unknown[][])(name, run(body, false), timeout)
  return Object.assign(declare(test), {
    each,
    only: declare(test.only),
    skip: declare(test.skip),
    failing: declare(test.failing, true),
    todo: (name: string) => test.todo(name),
  })
}

/** Returns the milliseconds that the running test may take. Jest has no other way to ask. */
function testTimeout(): number {
  const symbol = Object.getOwnPropertySymbols(globalThis).find((one) => one.description === 'JEST_STATE_SYMBOL')
  const state = symbol && (globalThis as unknown as Record<symbol, CircusState>)[symbol]
  return state?.currentlyRunningTest?.timeout ?? state?.testTimeout ?? defaultTestTimeout
}

interface JestState {
  testPath?: string
  currentTestName?: string
  snapshotState?: { _updateSnapshot?: string }
}

interface CircusState {
  currentlyRunningTest?: { timeout?: number } | null
  testTimeout?: number
}

const defaultTestTimeout = 5_000
