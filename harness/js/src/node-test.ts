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
  todo: DeclareTest & ((name: string, options?: TestOptions) => Promise<void>)
}

/** Returns the `test` of `node:test` with a `harness` for each test: a stack that is started once for the file, and a salt. */
export function harnessTest(options: HarnessOptions): HarnessTest {
  before(async () => void (await stackOf(options))) // it is no part of a test's time
  const declare =
    (as: typeof test.only, todo = false) =>
    (name: string, first?: TestOptions | TestBody, second?: TestBody): Promise<void> => {
      const [testOptions, body] = typeof first === 'function' ? [{} as TestOptions, first] : [first ?? {}, second]
      if (!body) return as(name, testOptions) // it is yet to be written
      const id = Symbol()
      return as(name, testOptions, (context) => {
        const info: TestInfo = {
          file: (context as { filePath?: string }).filePath ?? process.argv[1] ?? '', // of Node 22
          name: context.fullName,
          id,
          fails: 'expectFailure' in test && Boolean((testOptions as { expectFailure?: unknown }).expectFailure), // of Node 24
          todo: todo || Boolean(testOptions.todo),
          began: now(),
          timeout: testOptions.timeout ?? Infinity,
          update: process.execArgv.includes('--test-update-snapshots'),
        }
        notes(context, info)
        return runTest(info, options, (harness) => body(Object.assign(context, { harness })))
      })
    }
  return Object.assign(declare(test), {
    only: declare(test.only),
    skip: declare(test.skip),
    todo: declare(test.todo, true),
  })
}

/** Notes what a test says of itself while it runs. */
function notes(context: TestContext, info: TestInfo): void {
  const [skip, todo] = [context.skip.bind(context), context.todo.bind(context)]
  context.skip = (message) => {
    info.skipped = true
    skip(message)
  }
  context.todo = (message) => {
    info.todo = true
    todo(message)
  }
}
