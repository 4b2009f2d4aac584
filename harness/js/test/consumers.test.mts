import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { path, shop } from './setup.mjs'

const dir = mkdtempSync(join(tmpdir(), 'consumers-'))
afterAll(() => rmSync(dir, { recursive: true }))

/** Runs a program in a directory. */
function run(cwd: string, program: string, ...args: string[]): string {
  return runWith(process.env, cwd, program, ...args)
}

function runWith(env: NodeJS.ProcessEnv, cwd: string, program: string, ...args: string[]): string {
  try {
    return execFileSync(program, args, { cwd, env, encoding: 'utf8', stdio: 'pipe' })
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${(error as { stdout: string }).stdout}`)
  }
}

/** Makes the npm packages of a release for this platform, and returns their tarballs. */
function pack(): string[] {
  const [os, arch] = [
    process.platform === 'win32' ? 'windows' : process.platform,
    process.arch === 'x64' ? 'amd64' : process.arch,
  ]
  const release = `inngest-harness-v1.2.3-${os}-${arch}`
  mkdirSync(join(dir, release))
  cpSync(process.env['HARNESS_BIN']!, join(dir, release, os === 'windows' ? 'harness.exe' : 'harness'))
  run(
    path('../../..'),
    'go',
    'run',
    './harness/internal/toolchain/cmd/prebuild',
    join(dir, release, 'servers'),
    os,
    arch,
  )
  run(dir, 'tar', '-czf', `${release}.tar.gz`, release)
  run(dir, process.execPath, path('../scripts/packages.mjs'), 'v1.2.3', dir, join(dir, 'packages'))
  const packages = ['inngest-harness', `@inngest-harness/${process.platform}-${process.arch}`]
  run(dir, 'npm', 'pack', '--silent', '--pack-destination', dir, ...packages.map((name) => join(dir, 'packages', name)))
  return readdirSync(dir).filter((name) => name.endsWith('.tgz'))
}

test('the packages of a release work, and have types for ESM and CommonJS', { timeout: 300_000 }, () => {
  const tarballs = pack()
  expect(tarballs).toEqual([
    'inngest-harness-1.2.3.tgz',
    `inngest-harness-${process.platform}-${process.arch}-1.2.3.tgz`,
  ])
  // Vitest is for ESM alone, and so is its entry.
  const rules = ['--ignore-rules', 'cjs-resolves-to-esm']
  run(
    path('..'),
    process.execPath,
    'node_modules/@arethetypeswrong/cli/dist/index.js',
    join(dir, tarballs[0]!),
    ...rules,
  )

  const home = join(dir, 'home')
  mkdirSync(home)
  writeFileSync(join(home, 'package.json'), '{}')
  run(home, 'npm', 'install', '--offline', '--no-audit', '--no-fund', ...tarballs.map((name) => join(dir, name)))
  expect(JSON.parse(readFileSync(join(home, 'node_modules/inngest-harness/package.json'), 'utf8'))).toMatchObject({
    version: '1.2.3',
    optionalDependencies: { [`@inngest-harness/${process.platform}-${process.arch}`]: '1.2.3' },
  })
  expect(readdirSync(join(home, 'node_modules/inngest-harness/schemas'))).toContain('expectation.json')

  // A machine that has Node and nothing else: no HARNESS_BIN, no servers, no Go.
  const bin = join(dir, 'bin')
  mkdirSync(bin)
  symlinkSync(process.execPath, join(bin, 'node'))
  const env = { PATH: bin, HOME: dir, HARNESS_CACHE: join(dir, 'cache'), HARNESS_PAGE: 'off' }
  cpSync(path('consumers'), home, { recursive: true })
  writeFileSync(join(home, 'shop.json'), JSON.stringify(shop))
  for (const file of ['orders.test.mjs', 'orders.test.cjs']) {
    expect(runWith(env, home, process.execPath, '--test', '--test-reporter=tap', file)).toContain('# pass 1\n')
  }
  expect(runWith(env, home, join(home, 'node_modules/.bin/harness'), 'version')).toMatch(/^harness /)
})
