/** Tests on a stack, with Node's own runner. */
import { type TestContext, type TestOptions, before, test } from 'node:test'
import { type Harness, type HarnessOptions, type TestInfo, now, runTest, stackOf } from './fixture.js'

export type { Harness, HarnessOptions } from './fixture.js'

/** A test on a stack: its context is that of `node:test`, and a `harness`. */
export type TestBody = (context: TestContext & { harness: Harness }) => unknown

/** Declares a test. */
export interface DeclareTest {
  (name: string, body: TestBody): Promise<void>
  (name: string, options: TestOptions, body: TestBody): Promise<void>
}

/** The `test` of `node:test`, with a `harness` for each test. */
export interface HarnessTest extends DeclareTest {
  only: DeclareTest
  skip: DeclareTest
  todo: DeclareTest
}

/** Returns the `test` of `node:test` with a `harness` for each test: a stack that is started once for the file, and a salt. */
export function harnessTest(options: HarnessOptions): HarnessTest {
  before(async () => void (await stackOf(options))) // it is no part of a test's time
  const declare =
    (as: typeof test.only): DeclareTest =>
    (name: string, ...rest: [TestBody] | [TestOptions, TestBody]) => {
      const [testOptions, body] = rest.length === 1 ? [{}, rest[0]] : rest
      return as(name, testOptions, (context) => {
        const info: TestInfo = {
          file: process.argv[1] ?? '',
          name: context.fullName,
          began: now(),
          timeout: testOptions.timeout ?? Infinity,
          update: process.execArgv.includes('--test-update-snapshots'),
        }
        return runTest(info, options, (harness) => body(Object.assign(context, { harness })))
      })
    }
  return Object.assign(declare(test), {
    only: declare(test.only),
    skip: declare(test.skip),
    todo: declare(test.todo),
  })
}
