import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { binary } from './binary.js'
import { HarnessError } from './errors.js'

/** A length of time, as in `1.5s`, `90m` or `3d`. */
export type Duration = string

/** Says what a stack is made of. Everything has a default: without `command` only the servers run. */
export interface StackOptions {
  /**
   * The app: its program and arguments, or a line for the shell. It serves Inngest functions on the port that the variable
   * PORT names, and reads the addresses of the servers from its environment: `harness up --help` lists the variables.
   */
  command?: string | string[]
  /** The working directory of the app. Default: that of this process. */
  cwd?: string
  /** Variables for the app, beside those of this process. */
  env?: Record<string, string | undefined>
  /**
   * What runs as Inngest: `server` (the dev server), `start` (the self-hosted server), `sim` (a simulation, whose clock `skip`
   * puts forward), `sim-jump` (the same, and no sleep or retry takes time), or `auto` (`server`, once it is built; else `sim`).
   * Default: `auto`.
   */
  inngest?: 'auto' | 'server' | 'start' | 'sim' | 'sim-jump'
  /**
   * Where the servers run: `local` (processes), `containers`, `attach` (those that run already), or `auto` (containers where a
   * Docker engine has the images, else local). Default: `local` on sim, whose servers come with this package; else `auto`.
   */
  backend?: 'auto' | 'local' | 'containers' | 'attach'
  /** What catches the emails. Default: `mailhog`. */
  mail?: 'mailhog' | 'mailpit'
  /** The database. Default: `single`. */
  mongo?: 'single' | 'replica-set'
  /** The path at which the app serves Inngest. Default: `/api/inngest`. */
  appPath?: string
  /** The app connects to Inngest instead of serving HTTP. */
  connect?: boolean
  /** Directories: when a source file in them changes, the app is started anew. */
  watch?: string | string[]
  /** Record what passes between app, Inngest and mail server. Without it there are no faults, and verdicts know less. Default: true. */
  taps?: boolean
  /** The pause before Inngest retries a failed step, in whole seconds. Default: Inngest's own, 15 s and more. */
  retryInterval?: Duration
  /** The header of an email that names the run that sent it. Default: `X-Inngest-Run-Id`. */
  runHeader?: string
  /** What sim leaves to chance. Default: another each time. */
  seed?: number
  /** How long the app may take until it answers. Default: `2m`. */
  startTimeout?: Duration
  /** The directory for state and logs (in `.harness`), by which other commands find the stack. Default: a temporary one. */
  dir?: string
  /** Gets each line of progress, and of the app's output. Default: they are shown only in errors. */
  onOutput?: (line: string) => void
}

/** @internal A `harness up` that this process has started. */
export interface Up {
  /** What it printed: where everything is, in JSON. */
  readonly state: string
  readonly dir: string
  /** The end of its output. */
  log(): string
  /** Why it has ended; undefined while it is up. */
  ended(): string | undefined
  /** Is fulfilled when it has ended. */
  readonly exited: Promise<void>
  stop(): Promise<void>
}

const tempPrefix = 'inngest-harness-'
const tempName = new RegExp(`^${tempPrefix}(\\d+)-\\w+$`) // of mkdtemp
const keptLines = 200
const stopTimeout = 15_000

/** @internal Starts `harness up` and waits until all is up. It ends when this process, or worker thread, ends. */
export async function up(options: StackOptions): Promise<Up> {
  check(options)
  const dir = options.dir === undefined ? tempDir() : resolve(options.dir)
  mkdirSync(dir, { recursive: true })
  const child = spawn(binary(), ['up', ...flags(options), '--stack', dir, ...appCommand(options.command)], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'], // the end of this process, or thread, ends its stdin, and that ends it
    windowsHide: true,
  })
  const lines: string[] = []
  eachLine(child.stderr, (line) => {
    lines.push(line)
    if (lines.length > keptLines) lines.shift()
    options.onOutput?.(line)
  })
  let why: string | undefined
  const exited = new Promise<void>((done) => {
    child.on('error', (error) => done(void (why = `cannot be started: ${error.message}`)))
    child.on('close', (status, signal) => done(void (why ??= `has ended with ${signal ?? `status ${status}`}`)))
  })
  const log = () => lines.join('\n')
  const stop = async () => {
    child.ref()
    if (process.platform === 'win32') child.stdin.end()
    else child.kill('SIGINT')
    const kill = setTimeout(() => child.kill('SIGKILL'), stopTimeout)
    await exited
    clearTimeout(kill)
    if (options.dir === undefined) rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
  }

  const state = await Promise.race([firstObject(child.stdout), exited])
  if (state === undefined) {
    // The directory stays until the next start, since the output may name logs in it.
    throw new HarnessError(
      `the stack did not start: harness up ${why}\n${indent(log() || 'it printed nothing')}`,
      'no-stack',
    )
  }
  // It does not keep this process alive, whose end is its end.
  for (const handle of [child, child.stdin, child.stdout, child.stderr] as { unref(): void }[]) handle.unref()
  return { state, dir, log, ended: () => why, exited, stop }
}

const optionNames: Record<keyof StackOptions | 'goldens', true> = {
  command: true,
  cwd: true,
  env: true,
  inngest: true,
  backend: true,
  mail: true,
  mongo: true,
  appPath: true,
  connect: true,
  watch: true,
  taps: true,
  retryInterval: true,
  runHeader: true,
  seed: true,
  startTimeout: true,
  dir: true,
  onOutput: true,
  goldens: true, // of the fixtures, which may share their options with a stack
}

/** Refuses options by which something else would start than what is meant. */
function check(options: StackOptions): void {
  const unknown = Object.keys(options).find((name) => !(name in optionNames))
  if (unknown !== undefined) {
    throw new HarnessError(`a stack has no option ${unknown}: it has ${Object.keys(optionNames).join(', ')}`, 'invalid')
  }
  if (options.command?.length === 0) throw new HarnessError('the command of the app is empty', 'invalid')
  if (options.cwd !== undefined && !existsSync(options.cwd)) {
    throw new HarnessError(`the working directory of the app does not exist: ${resolve(options.cwd)}`, 'invalid')
  }
}

/** The flags of `harness up`. */
function flags(o: StackOptions): string[] {
  const list = ['--json', '--ports', 'free', '--exit-with-parent=stdin']
  const add = (flag: string, value: string | number | undefined) =>
    value === undefined || list.push(`--${flag}`, `${value}`)
  add('inngest', o.inngest)
  add('backend', o.backend ?? (o.inngest?.startsWith('sim') ? 'local' : undefined))
  add('mail', o.mail)
  add('mongo', o.mongo)
  add('app-path', o.appPath)
  add('retry-interval', o.retryInterval)
  add('run-header', o.runHeader)
  add('seed', o.seed)
  add('app-timeout', o.startTimeout)
  for (const dir of [o.watch ?? []].flat()) add('watch', dir)
  if (o.connect) list.push('--connect')
  if (o.taps === false) list.push('--taps=false')
  return list
}

function appCommand(command: string | string[] | undefined): string[] {
  if (command === undefined) return []
  if (typeof command !== 'string') return ['--', ...command]
  return process.platform === 'win32' ? ['--', 'cmd', '/d', '/s', '/c', command] : ['--', 'sh', '-c', command]
}

/** Makes a directory, and removes those of processes that have ended without removing them. */
function tempDir(): string {
  for (const name of readdirSync(tmpdir())) {
    const pid = tempName.exec(name)?.[1]
    if (!pid || isAlive(Number(pid))) continue
    try {
      rmSync(join(tmpdir(), name), { recursive: true })
    } catch {
      // it belongs to another user, or another process removes it
    }
  }
  return mkdtempSync(join(tmpdir(), `${tempPrefix}${process.pid}-`))
}

/** @internal Reports whether a process is there. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' // of another user
  }
}

/** Returns the text of the first JSON object. It reads on, since a program may end when its output is closed. */
function firstObject(stream: NodeJS.ReadableStream): Promise<string> {
  let text = ''
  return new Promise((found) => {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      try {
        JSON.parse(text)
        found(text)
      } catch {
        // it is not complete
      }
    })
  })
}

function eachLine(stream: NodeJS.ReadableStream, line: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    lines.forEach((text) => line(text.replace(/\r$/, '')))
  })
}

/** @internal Puts a text below a sentence. */
export function indent(text: string): string {
  return text.replace(/^/gm, '  ')
}
