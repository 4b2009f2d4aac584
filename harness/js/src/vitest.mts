/** Tests on a stack, with Vitest. */
import { beforeAll, expect, test, type TestAPI } from 'vitest'
import {
  type Harness,
  type HarnessOptions,
  type TestInfo,
  beginTest,
  endTest,
  now,
  stackOf,
  startTimeout,
  toLeadTo,
} from './fixture.js'
import type { Expectation, JudgeOptions } from './index.js'

export type { Harness, HarnessOptions } from './fixture.js'

declare module 'vitest' {
  interface Matchers<T> {
    /** Sends the event, unless it was sent, and judges what follows from it. The failure is the text of the verdict. */
    toLeadTo(expectation: Expectation, options?: JudgeOptions): Promise<void>
  }
}

expect.extend({ toLeadTo })

/**
 * Returns Vitest's `test` with a `harness` for each test: a stack that each worker starts once, and a salt. It also gives
 * `expect` the matcher `toLeadTo`.
 */
export function harnessTest(options: HarnessOptions): TestAPI<{ harness: Harness }> {
  beforeAll(async () => void (await stackOf(options)), startTimeout) // it is no part of a test's time
  return test.extend<{ harness: Harness }>({
    harness: [
      async ({ task }, use) => {
        const { expect, onTestFinished } = task.context
        const { testPath, currentTestName, snapshotState } = expect.getState()
        const info: TestInfo = {
          file: testPath ?? '',
          name: currentTestName ?? '',
          id: task.id,
          fails: task.fails,
          began: now(),
          timeout: task.timeout,
          update: (snapshotState as unknown as { _updateSnapshot?: string })._updateSnapshot === 'all',
        }
        const harness = await beginTest(info, options)
        onTestFinished(({ task: { result } }) =>
          endTest(
            harness,
            result?.state === 'fail' ? 'failed' : result?.state === 'skip' ? 'skipped' : 'passed',
            result?.errors?.map((error) => error.message),
          ),
        )
        await use(harness)
      },
      { auto: true },
    ],
  }) as TestAPI<{ harness: Harness }>
}
