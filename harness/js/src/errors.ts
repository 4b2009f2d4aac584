import type { Failure } from './api.js'
import type { Judgement } from './stack.js'

/** What kind of error a {@link HarnessError} is: one of the stack's API, or of this package. */
export type ErrorCode =
  | Failure['code']
  /** There is no binary of the harness for this machine. */
  | 'no-binary'
  /** The stack did not start, or there is none. */
  | 'no-stack'
  /** The stack has ended, or does not answer. */
  | 'unreachable'
  /** An email differs from its golden. */
  | 'differs'

/** An error of the harness. Its message says what is wrong, and what to do. */
export class HarnessError extends Error {
  override name = 'HarnessError'
  constructor(
    message: string,
    readonly code: ErrorCode,
  ) {
    super(message)
  }
}

/** The error of an expectation that does not hold. Its message is the text of the verdict. */
export class VerdictError extends Error {
  override name = 'VerdictError'
  /** The verdict, with all that happened. */
  declare readonly verdict: Judgement
  constructor(text: string, verdict: Judgement) {
    super(text)
    // Not enumerable: runners print every enumerable field below the message.
    Object.defineProperty(this, 'verdict', { value: verdict })
  }
}

/** @internal Returns a function that makes an error point at the line of the test that called this package. */
export function callSite(): <T>(error: T) => T {
  const frames = new Error().stack?.split('\n').slice(1) ?? []
  const outside = frames.filter((frame) => !frame.includes(__dirname))
  return (error) => {
    if (error instanceof Error && outside.length > 0)
      error.stack = [`${error.name}: ${error.message}`, ...outside].join('\n')
    return error
  }
}
