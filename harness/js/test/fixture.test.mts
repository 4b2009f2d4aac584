import { basename, resolve } from 'node:path'
import { HarnessError, Stack } from 'inngest-harness'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Harness } from '../dist/fixture.js'
import { failure } from './setup.mjs'

/** What runners call, which is not in the types of the package. */
interface Ending {
  end(outcome: 'passed' | 'failed', failures?: string[]): Promise<void>
}

/** Returns a harness whose stack only notes what it is asked. */
function harnessOf(test: object = {}, stack: object = {}) {
  const asked = vi.fn(async (..._: unknown[]) => ({ outcome: 'holds' }))
  const info = {
    file: '/project/test/a.test.ts',
    name: 'a test',
    began: Date.now(),
    timeout: 5_000,
    update: false,
    ...test,
  }
  const goldens = { replace: [{ pattern: 'v\\d+', new: '{{version}}' }] }
  return {
    harness: new (Harness as new (...args: unknown[]) => Harness & Ending)(
      { judge: asked, golden: asked, ...stack },
      info,
      { goldens, inngest: 'sim' },
    ),
    asked,
  }
}

test('addresses and ids are those of one test', () => {
  const [one, other] = [harnessOf().harness, harnessOf().harness]
  expect(one.address('kim')).toBe(`kim-${one.salt}@example.test`)
  expect(one.id('order')).toBe(`order-${one.salt}`)
  expect(one.salt).toMatch(/^[a-z0-9]{10}$/)
  expect(other.salt).not.toBe(one.salt)
})

test('a verdict waits less than the test may take', async () => {
  for (const [timeout, least, most] of [
    [5_000, 1_000, 4_000],
    [60_000, 10_000, 10_000],
    [Infinity, 10_000, 10_000],
    [10, 100, 100],
  ] as const) {
    const { harness, asked } = harnessOf({ timeout })
    await harness.judge('id', {})
    const options = asked.mock.calls[0]![2] as { timeout: string }
    expect(parseInt(options.timeout)).toBeGreaterThanOrEqual(least)
    expect(parseInt(options.timeout)).toBeLessThanOrEqual(most)
    expect(options).toMatchObject({ golden: undefined, test: { name: 'a test' } })
    await harness.judge('id', {}, { timeout: '2m' })
    expect(asked).toHaveBeenLastCalledWith('id', {}, expect.objectContaining({ timeout: '2m' }))
  }
})

test('goldens are beside the file of the test, without its salt', async () => {
  const { harness, asked } = harnessOf()
  const replace = [
    { old: harness.salt, new: '{{salt}}' },
    { pattern: 'v\\d+', new: '{{version}}' },
  ]
  const expectation = { mail: [{ to: 'kim@example.test', golden: 'confirmation' }] }
  await harness.judge('id', expectation)
  const golden = { dir: '/project/test/goldens', update: false, replace }
  expect(asked).toHaveBeenLastCalledWith('id', expectation, expect.objectContaining({ golden }))
  await harness.golden('confirmation', 'mail', { dir: 'elsewhere' })
  expect(asked).toHaveBeenLastCalledWith('confirmation', 'mail', { ...golden, dir: 'elsewhere' })

  const updating = harnessOf({ update: true })
  await updating.harness.golden('confirmation', 'mail')
  expect(updating.asked).toHaveBeenLastCalledWith('confirmation', 'mail', expect.objectContaining({ update: true }))
  for (const [value, update] of [
    ['1', true],
    ['0', false],
  ] as const) {
    vi.stubEnv('HARNESS_UPDATE', value)
    await harness.golden('confirmation', 'mail')
    expect(asked).toHaveBeenLastCalledWith('confirmation', 'mail', expect.objectContaining({ update }))
  }
})

test('faults and replaced steps end with the test, which fails if a fault has not acted', async () => {
  const endTest = vi.fn()
  const drop = vi.fn()
  const [replace, restore] = [vi.fn(), vi.fn(async () => true)]
  let acted = 0
  const fault = async () => ({ text: 'reply 451 at rcpt', applied: async () => acted, drop })
  const { harness } = harnessOf({}, { endTest, fault, replace, restore })
  await harness.fault({ at: 'rcpt', do: 'reply', code: 451 })
  await harness.replace('confirm', 'price', { value: 1 })
  const error = await failure<HarnessError>(harness.end('passed'))
  expect(error.message).toBe('a fault of the test has not acted: reply 451 at rcpt')
  expect(endTest).toHaveBeenLastCalledWith(expect.objectContaining({ outcome: 'failed', failures: [error.message] }))
  expect(drop).toHaveBeenCalledTimes(1)
  expect(replace.mock.calls).toEqual([
    ['confirm', 'price', { value: 1 }],
    ['confirm', 'price'],
  ])
  acted = 1
  await harness.end('passed')
  expect(endTest).toHaveBeenLastCalledWith(expect.objectContaining({ outcome: 'passed' }))
})

test('a test that replaced a step in vain fails, unless it failed anyway', async () => {
  const endTest = vi.fn()
  const { harness } = harnessOf({}, { endTest, replace: vi.fn(), restore: async () => false })
  await harness.replace('confirm', 'prise', { value: 1 })
  const error = await failure<HarnessError>(harness.end('passed'))
  expect(error.message).toBe('no run has reached a step that the test replaced: prise of confirm')
  expect(endTest).toHaveBeenLastCalledWith(expect.objectContaining({ outcome: 'failed', failures: [error.message] }))
  await harness.replace('confirm', 'prise', { value: 1 })
  await harness.end('failed', ['another reason'])
  expect(endTest).toHaveBeenLastCalledWith(expect.objectContaining({ outcome: 'failed', failures: ['another reason'] }))
})

test('stubs end with the test, and those of others stay', async () => {
  const [stub, unstub] = [vi.fn(), vi.fn()]
  const { harness } = harnessOf({}, { stub, unstub, endTest: vi.fn() })
  await harness.stub({ url: 'https://a.test/*', id: undefined }, { url: 'https://b.test/*', id: 'mine' })
  expect(stub).toHaveBeenCalledWith(
    { url: 'https://a.test/*', id: `${harness.salt}-1` },
    { url: 'https://b.test/*', id: 'mine' },
  )
  await harness.end('passed')
  expect(unstub.mock.calls).toEqual([[`${harness.salt}-1`, 'mine']])
})

test('a change that cannot be taken back fails the test, is recorded, and does not keep the others', async () => {
  const [endTest, drop] = [vi.fn(), vi.fn()]
  const unstub = vi.fn().mockRejectedValue(new HarnessError('no such stub', 'not-found'))
  const fault = async () => ({ text: 'a fault', applied: async () => 1, drop })
  const ends = async (outcome: 'passed' | 'failed', ...failures: string[]) => {
    const { harness } = harnessOf({}, { stub: vi.fn(), unstub, fault, endTest })
    await harness.stub({ url: 'https://a.test/*' })
    await harness.fault({ at: 'rcpt', do: 'reply', code: 451 })
    return failure<HarnessError>(harness.end(outcome, failures))
  }
  expect((await ends('passed')).message).toBe('no such stub')
  expect(endTest).toHaveBeenLastCalledWith(expect.objectContaining({ outcome: 'failed', failures: ['no such stub'] }))
  expect(drop).toHaveBeenCalledTimes(1)
  await ends('failed', 'of the test')
  expect(endTest).toHaveBeenLastCalledWith(expect.objectContaining({ failures: ['of the test'] }))
})

test('a test that is expected to fail is recorded as its runner counts it', async () => {
  const endTest = vi.fn()
  const ends = async (test: object, outcome: 'passed' | 'failed') => {
    await harnessOf(test, { endTest }).harness.end(outcome, outcome === 'failed' ? ['no'] : [])
    return endTest.mock.lastCall![0] as object
  }
  expect(await ends({ fails: true }, 'failed')).toMatchObject({ outcome: 'passed', failures: [] })
  expect(await ends({ fails: true }, 'passed')).toMatchObject({
    outcome: 'failed',
    failures: ['the test is expected to fail, and passed'],
  })
  expect(await ends({ todo: true }, 'failed')).toMatchObject({ outcome: 'skipped', failures: [] })
  expect(await ends({ todo: true }, 'passed')).toMatchObject({ outcome: 'passed' })
  expect(await ends({ skipped: true }, 'passed')).toMatchObject({ outcome: 'skipped' })
  expect(await ends({ skipped: true }, 'failed')).toMatchObject({ outcome: 'failed', failures: ['no'] })
})

test('a test that has ended its stack is recorded by the next one as its runner counts it', async () => {
  vi.stubEnv('HARNESS_REPORT', '/report')
  const gone = new HarnessError('the stack is down', 'unreachable')
  const recorded = vi.fn()
  const next = vi.spyOn(Stack as unknown as { of(): Promise<object> }, 'of').mockResolvedValue({ endTest: recorded })
  onTestFinished(() => next.mockRestore())
  const ends = (test: object, outcome: 'passed' | 'failed') =>
    harnessOf(test, { endTest: vi.fn().mockRejectedValue(gone) }).harness.end(outcome, ['no'])
  await ends({}, 'failed')
  expect(recorded).toHaveBeenLastCalledWith(expect.objectContaining({ outcome: 'failed', failures: ['no'] }))
  await ends({ fails: true }, 'failed')
  expect(recorded).toHaveBeenLastCalledWith(expect.objectContaining({ outcome: 'passed', failures: [] }))
  await expect(ends({}, 'passed')).rejects.toBe(gone)
  expect(recorded).toHaveBeenLastCalledWith(
    expect.objectContaining({ outcome: 'failed', failures: ['the stack is down'] }),
  )
})

test('tests of one name in a file have records of their own, and each try of one has the same', async () => {
  const endTest = vi.fn()
  const [one, other] = [
    { name: 'twice', id: 1 },
    { name: 'twice', id: 2 },
  ]
  for (const test of [one, other, one, { ...other, file: '/project/test/b.test.ts' }]) {
    await harnessOf(test, { endTest }).harness.end('passed')
  }
  expect(endTest.mock.calls.map(([end]) => (end as { name: string }).name)).toEqual([
    'twice',
    'twice (2)',
    'twice',
    'twice',
  ])
})

test('an expectation without types is explained by the stack', async () => {
  const { harness, asked } = harnessOf()
  for (const wrong of [undefined, null, { mail: { to: 'kim@example.test' } }, { mail: [null] }, { mail: 'none' }]) {
    await harness.judge('id', wrong as never)
  }
  expect(asked).toHaveBeenCalledTimes(5)
})

test('a test that does not await its verdict fails', async () => {
  const endTest = vi.fn()
  let breaks = (_: Error) => {}
  const judge = () => new Promise((_, fail) => (breaks = fail))
  const { harness } = harnessOf({}, { judge, endTest })
  const verdict = harness.judge('id', {})
  const error = await failure<HarnessError>(harness.end('passed'))
  expect(error.message).toBe('the test ended before its verdict: write `await` before `expect`')
  expect(endTest).toHaveBeenLastCalledWith(expect.objectContaining({ outcome: 'failed', failures: [error.message] }))
  await harness.end('failed', ['another reason'])
  expect(endTest).toHaveBeenLastCalledWith(expect.objectContaining({ failures: ['another reason'] }))

  breaks(new Error('broken'))
  const pending = new Promise((done) => setImmediate(done, 'pending'))
  expect(await Promise.race([verdict, pending]), 'it would be an unhandled rejection').toBe('pending')
  const late = harness.judge('id', {}) // in a hook that runs after the test
  breaks(new Error('broken'))
  expect((await failure(late)).message).toBe('broken')
  await harness.end('passed')
  expect(endTest).toHaveBeenLastCalledWith(expect.objectContaining({ outcome: 'passed', failures: [] }))
})

test('evidence stays in its directory', async () => {
  vi.stubEnv('HARNESS_EVIDENCE', '/evidence')
  const endTest = vi.fn()
  const { harness } = harnessOf({ file: resolve('../other/a.test.ts') }, { endTest })
  await harness.end('failed')
  expect(endTest).toHaveBeenCalledWith(
    expect.objectContaining({ evidence: resolve('/evidence/other/a.test.ts/a_test') }),
  )
})

test('the evidence of each test is in a directory of its own', async () => {
  vi.stubEnv('HARNESS_EVIDENCE', '/evidence')
  const endTest = vi.fn()
  const names = [
    '注文が届く',
    '注文が来る',
    'a b',
    'a_b',
    '..',
    'x'.repeat(300),
    `${'x'.repeat(300)}y`,
    'shop > an order',
  ]
  for (const name of names) await harnessOf({ name }, { endTest }).harness.end('failed')
  const directories = endTest.mock.calls.map(([{ evidence }]) => basename(evidence as string))
  expect(new Set(directories).size).toBe(names.length)
  for (const directory of directories) expect(directory).toMatch(/^[\p{L}\p{N}_][\p{L}\p{N}_.-]{0,99}$/u)
  expect(endTest.mock.calls[4]![0].evidence).toContain(resolve('/evidence'))
})
