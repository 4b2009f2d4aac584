import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'
import { path, until } from './setup.mjs'

const dir = mkdtempSync(join(tmpdir(), 'runners-'))
afterAll(() => rmSync(dir, { recursive: true }))

// Each returns the arguments with which Node runs the tests of a name.
const vitest =
  (...flags: string[]) =>
  (name: string) => ['node_modules/vitest/vitest.mjs', 'run', '--root=test/runners/vitest', `-t=^${name}$`, ...flags]
const jest =
  (...flags: string[]) =>
  (name: string) => [
    ...['node_modules/jest/bin/jest.js', '--rootDir=test/runners/jest', '-c=test/runners/jest/jest.config.cjs'],
    ...[`--cacheDirectory=${join(dir, 'jest')}`, `-t=^${name}$`, ...flags],
  ]
const node = () => (name: string) => ['--test', `--test-name-pattern=^${name}$`, 'test/runners/node/shop.test.mjs']

function start(args: string[], env: Record<string, string> = {}) {
  const { NODE_TEST_CONTEXT, VITEST, ...inherited } = process.env
  const child = spawn(process.execPath, args, {
    cwd: path('..'),
    env: { ...inherited, NO_COLOR: '1', GOLDENS: join(dir, 'goldens'), ...env },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => (output += stripVTControlCharacters(text)))
  }
  const ended = new Promise<{ status: number | null; output: string }>((done) =>
    child.on('close', (status) => done({ status, output })),
  )
  return { pid: child.pid!, ended }
}

const run = (args: string[], env?: Record<string, string>) => start(args, env).ended

/** Whether a file has a text by now: the stack writes its report while it is up, and again when it ends. */
const holds = (file: string, text: string) => existsSync(file) && readFileSync(file, 'utf8').includes(text)

describe.concurrent.each([
  { runner: 'vitest', tests: vitest(), update: vitest('-u') },
  { runner: 'jest', tests: jest(), update: jest('-u') },
  { runner: 'node', tests: node(), update: node(), env: { HARNESS_UPDATE: '1' } },
])('$runner', ({ runner, tests, update, env }) => {
  test('compares goldens, and updates them when asked', async ({ expect }) => {
    const goldens = { GOLDENS: join(dir, runner, 'goldens') }
    const missing = await run(tests('holds'), goldens)
    expect(missing.output).toContain('there is no golden')
    expect(missing.status).toBe(1)

    const updated = await run(update('holds'), { ...goldens, ...env })
    expect(updated, updated.output).toMatchObject({ status: 0 })
    expect(readFileSync(join(goldens.GOLDENS, 'confirmation', 'email.txt'), 'utf8')).toContain(
      'kim-{{salt}}@example.test',
    )

    const held = await run(tests('holds'), goldens)
    expect(held, held.output).toMatchObject({ status: 0 })
  })

  test('shows the verdict of a test that fails, and keeps report and evidence', async () => {
    const [HARNESS_REPORT, HARNESS_EVIDENCE] = [join(dir, runner, 'report'), join(dir, runner, 'evidence')]
    const { status, output } = await run(tests('breaks'), { HARNESS_REPORT, HARNESS_EVIDENCE })
    expect(status).toBe(1)
    expect(output).toMatch(
      /broken: email to kim-\w+@example.test: its subject differs: got "Order A1" want "Order B2"\n/,
    )
    expect(output).toMatch(/✗ email to kim-\w+@example.test: "Order A1"   ← first broken hop\n/)
    expect(output).toMatch(/want "Order B2"\n/)
    expect(output).toContain('confirming A1') // the app's output
    await until(() => holds(join(HARNESS_REPORT, 'junit.xml'), 'name="breaks"'))
    expect(readdirSync(HARNESS_EVIDENCE, { recursive: true }).join('\n')).toContain('verdict.txt')
  })
})

describe.concurrent.each([
  { runner: 'vitest', tests: vitest(), counts: 'tests="3" failures="1" errors="0" skipped="0"' },
  { runner: 'jest', tests: jest(), counts: 'tests="3" failures="1" errors="0" skipped="0"' },
  { runner: 'node', tests: node(), counts: 'tests="3" failures="1" errors="0" skipped="1"' }, // by test.todo
])('the report of $runner', ({ runner, tests, counts }) => {
  test('has each test of one name, and those that are expected to fail as the runner counts them', async () => {
    const HARNESS_REPORT = join(dir, runner, 'apart')
    const { status, output } = await run(tests('(same name|fails as expected)'), { HARNESS_REPORT })
    expect(status, output).toBe(1)
    const junit = join(HARNESS_REPORT, 'junit.xml')
    await until(() => holds(junit, counts))
    const text = readFileSync(junit, 'utf8')
    for (const name of ['same name', 'same name (2)', 'fails as expected']) expect(text).toContain(`name="${name}"`)
  })
})

describe.concurrent.each([
  { runner: 'vitest', tests: vitest() },
  { runner: 'jest', tests: jest() },
  { runner: 'node', tests: node() },
])('$runner', ({ runner, tests }) => {
  test('says that a test has crashed the app, and goes on with another stack', async () => {
    const [HARNESS_REPORT, HARNESS_EVIDENCE] = [join(dir, runner, 'crash'), join(dir, runner, 'logs of a crash')]
    const env = { HARNESS_REPORT, HARNESS_EVIDENCE }
    const { status, output } = await run(tests('(same name|crashes the app|comes after a crash)'), env)
    expect(status, output).toBe(1)
    expect(output).toMatch(
      /the stack is down: harness up has ended with status 1\n(.*\n)*.*app exited with status 3 after/,
    )
    expect(output).not.toContain('does not answer')
    const records = readdirSync(HARNESS_REPORT).filter((name) => name.startsWith('record-'))
    const ended = records.map((name) => JSON.parse(readFileSync(join(HARNESS_REPORT, name), 'utf8')))
    expect(Object.fromEntries(ended.map(({ test, outcome }) => [test, outcome]))).toEqual({
      'same name': 'passed',
      'same name (2)': 'failed',
      'crashes the app': 'failed',
      'comes after a crash': 'passed',
    })
    const evidence = readdirSync(HARNESS_EVIDENCE, { recursive: true }) as string[]
    const log = evidence.find((file) => file.endsWith(join('crashes_the_app', 'app.log')))
    expect(readFileSync(join(HARNESS_EVIDENCE, log!), 'utf8')).toContain('app exited with status 3')
  })
})

test.concurrent('each row of a table is a test of Jest, with a harness', async ({ expect }) => {
  const HARNESS_REPORT = join(dir, 'jest', 'rows')
  const { status, output } = await run(jest()('row .*'), { HARNESS_REPORT })
  expect(status, output).toBe(1)
  expect(output).toMatch(/Tests: +2 failed, \d+ skipped, 2 passed/)
  for (const rows of [/^record-row-(A1-passes|B2-fails)-/, /^record-row-of-one-name-/])
    expect(readdirSync(HARNESS_REPORT).filter((name) => rows.test(name))).toHaveLength(2)
})

describe.concurrent.each([
  { runner: 'vitest', tests: vitest() },
  { runner: 'jest', tests: jest() },
])('the matcher for $runner', ({ tests }) => {
  test.each([
    ['is negated', 'toLeadTo cannot be negated: say what must not happen by absent'],
    ['has no harness', 'toLeadTo is for tests made by harnessTest'],
    ['is not awaited', 'the test ended before its verdict: write `await` before `expect`'],
  ])('explains what it cannot do: a test %s', async (name, message) => {
    const { status, output } = await run(tests(name))
    expect(output).toContain(message)
    expect(status).toBe(1)
  })
})

describe.skipIf(process.platform !== 'linux').concurrent('a stack ends', () => {
  test.each([
    { runner: 'vitest, forks', tests: vitest('--pool=forks') },
    { runner: 'vitest, threads', tests: vitest('--pool=threads') },
    { runner: 'vitest, forks, not isolated', tests: vitest('--pool=forks', '--isolate=false') },
    { runner: 'jest, workers', tests: jest('--maxWorkers=2') },
    { runner: 'jest, in band', tests: jest('--runInBand') },
    { runner: 'node', tests: node() },
  ])('when its runner is killed: $runner', async ({ runner, tests }) => {
    const hangs = join(dir, `${runner} hangs`)
    const { pid, ended } = start(tests('hangs'), { HANGS: hangs })
    const early = ended.then(({ output }) => Promise.reject(new Error(output)))
    await Promise.race([early, until(() => existsSync(hangs))])
    early.catch(() => {}) // it is to end now
    const all = [pid, ...descendants(pid)]
    expect(all.length).toBeGreaterThan(5) // the runner, the harness, three servers, the app
    process.kill(pid, 'SIGKILL')
    await until(() => !all.some(isRunning))
    await ended
  })

  test.each([
    { runner: 'vitest, forks', tests: vitest('--pool=forks') },
    { runner: 'vitest, threads', tests: vitest('--pool=threads') },
    { runner: 'jest', tests: jest('--maxWorkers=2') },
    { runner: 'node', tests: node() },
    { runner: 'vitest, one stack for all workers', tests: vitest('-c=all.config.mjs') },
  ])('with its worker: $runner', async ({ runner, tests }) => {
    const stacks = join(dir, runner, 'stacks')
    const { status, output } = await run(tests('tells its stack'), { STACKS: stacks })
    expect(status, output).toBe(0)
    const pids = readdirSync(stacks).map(Number)
    expect(pids).not.toEqual([])
    await until(() => !pids.some(isRunning))
  })
})

/** The processes that a process has started, and those that they have. */
function descendants(pid: number): number[] {
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && stat(Number(name))?.parent === pid)
  return children.map(Number).flatMap((child) => [child, ...descendants(child)])
}

function isRunning(pid: number): boolean {
  return !['Z', 'X', undefined].includes(stat(pid)?.state)
}

function stat(pid: number): { state: string; parent: number } | undefined {
  try {
    const [state, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return { state: state!, parent: Number(parent) }
  } catch {
    return undefined // it has ended
  }
}
