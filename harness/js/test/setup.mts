import { fileURLToPath } from 'node:url'

export const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

/** The command of the tests' app. */
export const shop = ['node', path('app/app.mjs')]

/** Returns the error with which a promise is rejected. */
export async function failure<E extends Error>(promise: Promise<unknown>): Promise<E> {
  try {
    await promise
  } catch (error) {
    return error as E
  }
  throw new Error('it succeeded')
}

/** Waits for a condition, as long as the test has time. */
export async function until(condition: () => unknown): Promise<void> {
  while (!(await condition())) await new Promise((done) => setTimeout(done, 20))
}
