import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type HarnessError, Stack, type StackOptions, connectStack, startStack } from 'inngest-harness'
import { expect, onTestFinished, test, vi } from 'vitest'
import * as fixture from '../dist/fixture.js'
import { workerStack } from '../dist/worker.js'
import { failure, path, shop, until } from './setup.mjs'

/** What the fixtures call, which is not in the types of the package. */
const { stackOf } = fixture as unknown as { stackOf(options: StackOptions): Promise<Stack> }

test('services stop and start, and an app that ends takes the stack with it', async () => {
  await using stack = await startStack({ command: shop, inngest: 'sim' })
  const email = 'kim@example.test'
  const order = { name: 'order/placed', data: { order: 'A1', email } }
  await stack.service('mailhog').restart()
  await stack.service('inngest').pause()
  await stack.service('inngest').resume()
  await stack.expect(order, { mail: [{ to: email }] })

  const action = await failure<HarnessError>(stack.service('postgres' as never).stop())
  expect(action.message).toContain('postgres')

  expect(stack.state.pid).toBeGreaterThan(1)
  process.kill(stack.state.pid, 'SIGKILL')
  await until(async () => (await failure<HarnessError>(stack.send(order))).message.startsWith('the stack is down'))
  const error = await failure<HarnessError>(stack.send(order))
  expect(error.code).toBe('unreachable')
  expect(error.message).toContain('has ended with SIGKILL\n')
  expect(error.message).toContain('confirming A1') // the end of its output
})

test('a verdict that waits when the app crashes says so', async () => {
  const code = `process.on('SIGUSR2', () => process.exit(7)); console.log('pid', process.pid); import(${JSON.stringify(path('app/app.mjs'))})`
  await using stack = await startStack({ command: ['node', '-e', code], inngest: 'sim' })
  const email = 'kim@example.test'
  const verdict = failure<HarnessError>(
    stack.judge({ name: 'order/forgotten', data: { email } }, { mail: [{ to: email }] }, { timeout: '1m' }),
  )
  await until(async () => (await stack.runs({ event: 'order/forgotten' })).length)
  process.kill(Number(/pid (\d+)/.exec(stack.log())![1]), 'SIGUSR2')
  const error = await verdict
  expect(error.code).toBe('unreachable')
  expect(error.message).toContain('app exited with status 7')
})

test('a stack that is stopped leaves nothing', async () => {
  const stack: Stack = await startStack({ inngest: 'sim' })
  expect(existsSync(stack.dir)).toBe(true)
  await stack.stop()
  await stack.stop()
  expect(existsSync(stack.dir)).toBe(false)
  expect(() => process.kill(stack.state.pid, 0)).toThrow('ESRCH')
})

test('a stack that was killed cannot be connected to', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'killed-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  const stack = await startStack({ inngest: 'sim', dir })
  expect((await connectStack({ dir })).urls).toEqual(stack.urls)
  process.kill(stack.state.pid, 'SIGKILL')
  await failure<HarnessError>(stack.send({ name: 'waits/for-the-end' }))
  const error = await failure<HarnessError>(connectStack({ dir }))
  expect(error.code).toBe('no-stack')
  expect(error.message).toMatch(/^no stack is up in .* \(the process that wrote .*stack\.json has ended\): start one/)
})

test('a worker whose stack has ended starts another for the next test', async () => {
  const options = { inngest: 'sim' } as const
  const first = await workerStack(options)
  expect(await workerStack({ ...options })).toBe(first)
  process.kill(JSON.parse(first.state).pid, 'SIGKILL')
  await until(() => first.ended())
  const next = await workerStack(options)
  expect(next).not.toBe(first)
  expect(next.ended()).toBeUndefined()
  await next.stop()
})

test('tests wait for an app whose source changes, and fail if it does not start', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'watched-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  const app = join(dir, 'app.mjs')
  const works = `import ${JSON.stringify(path('app/app.mjs'))}`
  const options = { command: ['node', app], inngest: 'sim', watch: dir } satisfies StackOptions
  const tried = () =>
    stackOf(options).then(
      () => '',
      (error: HarnessError) => error.message,
    )
  writeFileSync(app, works)
  expect(await tried()).toBe('')
  writeFileSync(app, 'throw new Error("no good")')
  await until(tried)
  expect(await tried()).toMatch(/^.*app\.mjs has changed, and the app does not start with it: .*no good/s)
  writeFileSync(app, `process.on('SIGUSR2', () => process.exit(7)); console.log('pid', process.pid); ${works}`)
  await until(async () => (await tried()) === '')

  const stack = await stackOf(options)
  process.kill(Number(/pid (\d+)/.exec(stack.log())![1]), 'SIGUSR2')
  await until(tried)
  expect(await tried()).toMatch(/^app exited with status 7/)
  await stack.service('app').start()
  expect(await tried()).toBe('')
  await stack.stop()
})

test('a stack that does not start says why', async () => {
  const broken = await failure<HarnessError>(
    startStack({ command: 'echo "the database is missing" && exit 3', inngest: 'sim' }),
  )
  expect(broken.code).toBe('no-stack')
  expect(broken.message).toMatch(/^the stack did not start: harness up has ended with status 1\n/)
  expect(broken.message).toContain('the database is missing')

  const wrong = await failure<HarnessError>(startStack({ inngest: 'simm' as never }))
  expect(wrong.message).toContain('--inngest "simm"')

  const misspelt = await failure<HarnessError>(startStack({ comand: 'npm start' } as never))
  expect(misspelt.message).toMatch(/^a stack has no option comand: it has command, cwd, /)
  const empty = await failure<HarnessError>(startStack({ command: [] }))
  expect(empty.message).toBe('the command of the app is empty')

  const nowhere = await failure<HarnessError>(startStack({ cwd: '/no/such/directory' }))
  expect(nowhere.message).toBe('the working directory of the app does not exist: /no/such/directory')
})

test('a missing binary is a clear error', async () => {
  vi.stubEnv('HARNESS_BIN', '/no/such/harness')
  const missing = await failure<HarnessError>(startStack())
  expect(missing.code).toBe('no-binary')
  expect(missing.message).toBe('HARNESS_BIN is /no/such/harness, and there is no such file')

  vi.stubEnv('HARNESS_BIN', '')
  const none = await failure<HarnessError>(startStack())
  expect(none.code).toBe('no-binary')
  expect(none.message).toContain(`the package @inngest-harness/${process.platform}-${process.arch} is not installed`)
  expect(none.message).toContain('HARNESS_BIN')
})
