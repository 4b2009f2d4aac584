import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import timers from 'node:timers/promises'
import type {
  Event,
  Expectation,
  Fault,
  Goldens,
  InjectedFault as FaultState,
  Message,
  ReceivedEvent,
  Replaced,
  SentEvent,
  Skip,
  Stack as StackState,
  Status,
  StepOutcome,
  Stub,
  TestEnd,
  Trace,
  TraceMail,
  TraceRun,
  Verdict,
} from './api.js'
import { Client } from './client.js'
import { HarnessError, VerdictError, callSite } from './errors.js'
import { type Duration, type StackOptions, type Up, indent, isAlive, up } from './up.js'

/** The services of a stack. */
export type Service = 'app' | 'inngest' | 'mailhog' | 'mongo'

/** One decoded email. */
export type Mail = Message & Required<Pick<Message, 'id' | 'received' | 'attachments' | 'inlines'>>

/** Which emails are meant: all that is said must be so. */
export interface MailFilter {
  /** A recipient's address. */
  to?: string
  from?: string
  subject?: string
  /** The id of the run that sent it. */
  run?: string
  headers?: Record<string, string>
}

/** An event that was sent: what sending it returned, or its id. */
export type EventRef = { eventId: string } | string

/** An event to send, or one that was sent. */
export type AnyEvent = Event | EventRef

/** How much time to skip, and for what: see {@link Stack.skip}. */
export interface SkipOptions extends Omit<Skip, 'until' | 'event'> {
  until?: string | Date
  event?: EventRef
}

/** A trace whose emails have lists of their files, which may be empty. */
export type SeenTrace = Omit<Trace, 'mail'> & {
  mail: (TraceMail & Required<Pick<Message, 'attachments' | 'inlines'>>)[]
}

/** A verdict, with its text for a person to read. */
export interface Judgement extends Omit<Verdict, 'trace'> {
  eventId: string
  text: string
  trace: SeenTrace
}

/** How to judge. */
export interface JudgeOptions {
  /** How long to wait for what should happen. Default: `10s`. */
  timeout?: Duration
  /** Where the goldens are that the expectation names. */
  golden?: Goldens
  /** @internal The test that asks. */
  test?: { suite: string; name: string }
}

/** Starts the servers, and the app on them. They end with {@link Stack.stop}, or when this process ends, however it does. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  return Stack.of(await up(options))
}

/**
 * Connects to a stack that is up: that of a `harness up`, in another terminal say.
 *
 * @param options.dir - The directory of that stack. Default: that of the variable HARNESS_STACK, else this one or one above it.
 */
export async function connectStack(options: { dir?: string } = {}): Promise<Stack> {
  const dir = options.dir ?? process.env['HARNESS_STACK']
  const file = stateFile(dir)
  const text = file && readFileSync(file, 'utf8')
  if (!text || !isAlive((JSON.parse(text) as StackState).pid)) {
    const stale = file ? ` (the process that wrote ${file} has ended)` : ''
    throw new HarnessError(
      `no stack is up ${dir ? `in ${dir}` : 'here'}${stale}: start one with \`npx harness up\``,
      'no-stack',
    )
  }
  return Stack.connect(text, dirname(dirname(file)))
}

/** Waits for the end of a stack that does not answer any more: it closes its API first. */
async function endOf(up: Up): Promise<void> {
  const enough = new AbortController()
  const late = timers.setTimeout(endTimeout, undefined, { signal: enough.signal }).catch(() => {})
  await Promise.race([up.exited, late])
  enough.abort()
}

const endTimeout = 5_000

/** How long an app that changes may take until it is up again. */
const changeTimeout = '2m'

function stateFile(dir: string | undefined): string | undefined {
  for (let at = resolve(dir ?? '.'); ; at = dirname(at)) {
    const file = join(at, '.harness', 'stack.json')
    // What a file of another user names is not to be trusted.
    if (existsSync(file) && (!process.getuid || statSync(file).uid === process.getuid())) return file
    if (dir !== undefined || at === dirname(at)) return undefined
  }
}

/** A stack that is up: its servers, and the app on them. */
export class Stack implements AsyncDisposable {
  /** Reads the emails that the app has sent. */
  readonly mail: MailBox

  private constructor(
    private readonly client: Client,
    /** What `harness up` says of the stack. */ readonly state: StackState,
    /** The directory of its state and logs. */
    readonly dir: string,
    private readonly up?: Up,
  ) {
    this.mail = mailBox(client)
  }

  /** @internal */
  static of(up: Up): Promise<Stack> {
    return Stack.connect(up.state, up.dir, up)
  }

  /** @internal */
  static async connect(text: string, dir: string, up?: Up): Promise<Stack> {
    const { api } = JSON.parse(text) as StackState
    if (!api)
      throw new HarnessError(
        `the stack in ${dir} has no API: it was started by an older version of the harness`,
        'no-stack',
      )
    const client = new Client(api, async () => {
      if (!up) return undefined
      await endOf(up)
      const why = up.ended()
      return why && `the stack is down: harness up ${why}\n${indent(up.log())}`
    })
    return new Stack(client, await client.get<StackState>('/stack', { wait: changeTimeout }), dir, up)
  }

  /** The variables that an app on this stack gets. */
  get env(): Record<string, string> {
    return this.state.env ?? {}
  }

  /** Where everything is. */
  get urls(): { app?: string; dashboard?: string; inngest: string; mail: string; smtp: string; mongo: string } {
    const { app, dashboard, inngest, mailhog, mongo } = this.state
    return {
      app: app.url,
      dashboard: dashboard?.url,
      inngest: inngest.url,
      mail: mailhog.url,
      smtp: mailhog.smtp,
      mongo: mongo.uri,
    }
  }

  /** The end of what the stack and the app have printed, if this process started the stack. */
  log(): string {
    return this.up?.log() ?? ''
  }

  /** Sends an event, or several. */
  send(event: Event): Promise<SentEvent>
  send(events: Event[]): Promise<SentEvent[]>
  async send(events: Event | Event[]): Promise<SentEvent | SentEvent[]> {
    const sent = await this.client.post<SentEvent[]>('/events', events)
    return Array.isArray(events) ? sent : sent[0]!
  }

  /** Starts a function, whatever triggers it: a schedule, too. */
  invoke(functionId: string, data?: Record<string, unknown>): Promise<SentEvent> {
    return this.client.post('/invoke', { function: functionId, data })
  }

  /** Sends an event, unless it was sent, and judges what follows from it. A verdict that does not hold is returned. */
  async judge(event: AnyEvent, expectation: Expectation, options: JudgeOptions = {}): Promise<Judgement> {
    const golden = options.golden && { ...options.golden, dir: resolve(options.golden.dir) }
    const id = eventId(event)
    checkJSON(expectation)
    const question = { ...(id === undefined ? { event } : { eventId: id }), expectation, ...options, golden }
    const answer = await this.client.post<{ eventId: string; verdict: Verdict; text: string }>('/judge', question)
    const { eventId: judged, verdict, text } = answer
    return { ...verdict, eventId: judged, text, trace: seen(verdict.trace) }
  }

  /** Like {@link judge}, but a verdict that does not hold is thrown, as a {@link VerdictError} whose message is its text. */
  async expect(event: AnyEvent, expectation: Expectation, options: JudgeOptions = {}): Promise<Judgement> {
    const at = callSite()
    try {
      const verdict = await this.judge(event, expectation, options)
      if (verdict.outcome !== 'holds') throw new VerdictError(verdict.text, verdict)
      return verdict
    } catch (error) {
      throw at(error)
    }
  }

  /** The latest events, newest first, with their runs, which are without steps. */
  events(options: { limit?: number; all?: boolean } = {}): Promise<ReceivedEvent[]> {
    return this.client.get('/events', options)
  }

  /** An event, with its runs and their steps. */
  async event(event: EventRef): Promise<ReceivedEvent> {
    return this.client.get(`/events/${path(event)}`)
  }

  /**
   * Runs, those of the newest event first.
   *
   * @param filter.event - An event that was sent, or the name of events.
   * @param filter.all - Also the runs that events of the server started: schedules, invocations, handlers of failures.
   * @param filter.limit - How many events to look at. Default: 100.
   */
  async runs(
    filter: { event?: EventRef; function?: string; status?: Status; all?: boolean; limit?: number } = {},
  ): Promise<TraceRun[]> {
    const { event, all, limit = 100 } = filter
    const matches = (run: TraceRun) =>
      (filter.function === undefined || [run.function, `${run.app}-${run.function}`].includes(filter.function)) &&
      (filter.status === undefined || run.status === filter.status)
    if (event !== undefined && (typeof event !== 'string' || isEventId(event))) {
      return (await this.event(event)).runs.filter(matches)
    }
    const events = (await this.events({ all, limit })).filter(
      ({ name, runs }) => (event === undefined || name === event) && runs.some(matches),
    )
    const withSteps = await Promise.all(events.map((one) => this.event(one)))
    return withSteps.flatMap(({ runs }) => runs).filter(matches)
  }

  /**
   * All that has followed from an event so far.
   *
   * @param options.to - Recipients of emails that belong to it even if they name no run.
   */
  async trace(event: EventRef, options: { to?: string | string[] } = {}): Promise<SeenTrace> {
    return seen(await this.client.get<Trace>(`/events/${path(event)}/trace`, { to: options.to }))
  }

  /**
   * Puts the clock of sim forward: `skip('3d')` for all, `skip({ event, by: '3d' })` for what an event leads to, `skip({ run, by:
   * '3d' })` for a run and those that descend from it.
   */
  async skip(time: Duration | SkipOptions): Promise<Date> {
    const options: SkipOptions = typeof time === 'string' ? { by: time } : time
    const event = 'event' in options ? sentId(options.event!) : undefined
    const { now } = await this.client.post<{ now: string }>('/skip', { ...options, event })
    return new Date(now)
  }

  /**
   * Replaces the results of a step, one for each attempt, the last one for all further ones. Its code is not called. Without
   * outcomes the step is as it was. Only sim can do this.
   */
  async replace(functionId: string, step: string, ...outcomes: StepOutcome[]): Promise<void> {
    await this.client.post('/replace', { replace: [{ function: functionId, step, outcomes }] })
  }

  /** Gives a step its own results back. Returns false if no run has reached it while it was replaced. */
  async restore(functionId: string, step: string): Promise<boolean> {
    const { unused } = await this.client.post<Replaced>('/replace', {
      replace: [{ function: functionId, step, outcomes: [] }],
    })
    return !unused?.length
  }

  /** Answers HTTP requests that steps let sim make: `step.fetch`, AI inference. The latest stub that fits answers first. */
  async stub(...stubs: Stub[]): Promise<void> {
    await this.client.post('/replace', { stubs })
  }

  /** Takes stubs away, by their ids. Those that are gone already are ignored. */
  async unstub(...ids: string[]): Promise<void> {
    await this.client.post('/replace', { removeStubs: ids })
  }

  /** Makes a fault happen on a wire between app, Inngest and mail server. */
  async fault(fault: Fault): Promise<InjectedFault> {
    return new InjectedFault(this.client, await this.client.post<FaultState>('/faults', fault))
  }

  /** A service that can be stopped and started. */
  service(service: Service): Record<'stop' | 'start' | 'restart' | 'kill' | 'pause' | 'resume', () => Promise<void>> {
    const act = (action: string) => async () => void (await this.client.post(`/services/${service}/${action}`))
    return {
      stop: act('stop'),
      start: act('start'),
      restart: act('restart'),
      kill: act('kill'),
      pause: act('pause'),
      resume: act('resume'),
    }
  }

  /** Compares an email with a golden email, or writes that, if `update` is set. A difference is thrown, as a {@link HarnessError}. */
  async golden(name: string, mail: Mail | string, goldens: Goldens): Promise<void> {
    const at = callSite()
    const body = { ...goldens, dir: resolve(goldens.dir), name, mail: typeof mail === 'string' ? mail : mail.id }
    const { matches, text } = await this.client.post<{ matches: boolean; text?: string }>('/golden', body)
    if (!matches) throw at(new HarnessError(text ?? `the email differs from the golden ${name}`, 'differs'))
  }

  /** @internal Says how a test ended. */
  async endTest(end: TestEnd): Promise<void> {
    await this.client.post('/tests', end)
  }

  /** Stops the app and the servers, if this process started them. */
  async stop(): Promise<void> {
    await this.up?.stop()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

/** A fault that was injected into a wire. */
export class InjectedFault {
  readonly id: string
  /** What it does, in a few words. */
  readonly text: string

  /** @internal */
  constructor(
    private readonly client: Client,
    view: FaultState,
  ) {
    this.id = view.id
    this.text = view.text
  }

  /** How often it has acted; zero if it does not so long. */
  async applied(wait: Duration = '0s'): Promise<number> {
    return (await this.client.get<FaultState>(`/faults/${this.id}`, { wait })).applied
  }

  /** Waits until it acts: until something is held, if that is what it does. */
  async reached(timeout: Duration = '10s'): Promise<void> {
    const at = callSite()
    const { applied } = await this.client.get<FaultState>(`/faults/${this.id}`, { wait: timeout })
    if (!applied) throw at(new HarnessError(`the fault has not acted within ${timeout}: ${this.text}`, 'failed'))
  }

  /** Disarms it, and lets what it holds go on. */
  async release(): Promise<void> {
    await this.client.post(`/faults/${this.id}/release`)
  }

  /** Disarms it, and closes what it holds. */
  async drop(): Promise<void> {
    await this.client.delete(`/faults/${this.id}`)
  }
}

/** Reads the emails that the app has sent. Called, it returns those that there are, the oldest first. */
export interface MailBox {
  (filter?: MailFilter): Promise<Mail[]>
  /** Waits for the first such email. */
  wait(filter: MailFilter, timeout?: Duration): Promise<Mail>
  /** The source of an email. */
  source(mail: Mail | string): Promise<string>
  /** Removes emails, and returns how many. */
  clear(filter?: MailFilter): Promise<number>
}

function mailBox(client: Client): MailBox {
  const query = ({ headers = {}, ...filter }: MailFilter = {}) => ({
    ...filter,
    header: Object.entries(headers).map(([name, value]) => `${name}:${value}`),
  })
  const find = async (filter?: MailFilter, wait?: Duration) =>
    (await client.get<Mail[]>('/mail', { ...query(filter), wait })).map(withBytes)
  return Object.assign((filter?: MailFilter) => find(filter), {
    wait: async (filter: MailFilter, timeout: Duration = '10s') => (await find(filter, timeout))[0]!,
    source: (mail: Mail | string) =>
      client.text(`/mail/${encodeURIComponent(typeof mail === 'string' ? mail : mail.id)}/raw`),
    clear: async (filter?: MailFilter) => (await client.delete<{ removed: number }>('/mail', query(filter))).removed,
  })
}

/** Throws if an expectation holds what JSON does not have: it would be left out, or become another object. */
function checkJSON(value: unknown, at = ''): void {
  const what = noJSON(value)
  if (what) {
    const instead =
      value === undefined
        ? 'which asserts nothing: leave it out, or give it a value'
        : 'which JSON does not have: say { matches: "…" } of a text, or write an assertion of your own on the trace of the verdict'
    throw new HarnessError(`expectation: ${at || 'it'} is ${what}, ${instead}`, 'invalid')
  }
  if (Array.isArray(value)) value.forEach((one, i) => checkJSON(one, `${at}[${i}]`))
  else if (typeof value === 'object' && value !== null && !('toJSON' in value)) {
    for (const [name, one] of Object.entries(value)) checkJSON(one, at ? `${at}.${name}` : name)
  }
}

/** Says what a value is that JSON does not have. */
function noJSON(value: unknown): string | undefined {
  if (value === undefined || (typeof value === 'number' && !Number.isFinite(value))) return String(value)
  if (['bigint', 'function', 'symbol'].includes(typeof value)) return `a ${typeof value}`
  if (typeof value !== 'object' || value === null) return undefined
  if ('$$typeof' in value && value.$$typeof === Symbol.for('jest.asymmetricMatcher')) return 'a matcher of the runner'
  const type = Object.prototype.toString.call(value).slice('[object '.length, -1) // also in another realm
  return ['RegExp', 'Map', 'Set'].includes(type) ? `a ${type}` : undefined
}

/** Completes an email: in JSON the bytes of its files are in Base64. */
function withBytes<T extends Message>(mail: T): T & Mail {
  const decoded = (parts: Message['attachments'] = []) =>
    parts.map((part) => ({ ...part, data: Buffer.from((part.data as unknown as string) ?? '', 'base64') }))
  return Object.assign(mail, { attachments: decoded(mail.attachments), inlines: decoded(mail.inlines) }) as T & Mail
}

/** Completes the emails of a trace. */
function seen(trace: Trace): SeenTrace {
  return { ...trace, mail: trace.mail.map(withBytes) }
}

function isEventId(text: string): boolean {
  return /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(text)
}

/** Returns the id of an event that was sent; undefined for one to send. */
function eventId(event: AnyEvent): string | undefined {
  if (typeof event === 'string') return event
  if (!event || typeof event !== 'object')
    throw new HarnessError(
      `the event is ${String(event)}: give one to send, or what sending it returned, or its id`,
      'invalid',
    )
  return 'eventId' in event ? event.eventId : undefined
}

/** Returns the id of an event that was sent. */
function sentId(event: EventRef): string {
  const id = eventId(event)
  if (id === undefined)
    throw new HarnessError(
      'the event was not sent: give what sending it returned, once it is awaited, or its id',
      'invalid',
    )
  return id
}

/** Returns the id of an event that was sent, as it is in a path. */
function path(event: EventRef): string {
  return encodeURIComponent(sentId(event))
}
