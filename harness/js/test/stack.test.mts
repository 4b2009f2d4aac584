import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HarnessError, Stack, VerdictError, connectStack, startStack } from 'inngest-harness'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { failure, shop } from './setup.mjs'

const lines: string[] = []
let stack: Stack
beforeAll(async () => {
  stack = await startStack({ command: shop, inngest: 'sim', retryInterval: '1s', onOutput: (line) => lines.push(line) })
})
afterAll(() => stack.stop())

let count = 0
const anAddress = () => `user-${++count}@example.test`
const order = (email?: string, id = 'A1') => ({ name: 'order/placed', data: { order: id, email } })

test('the stack says where everything is', () => {
  expect(process.kill(stack.state.pid, 0)).toBe(true)
  expect(stack.state.can).toMatchObject({ skip: true, replace: true, faults: true })
  expect(stack.urls.app).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  expect(stack.env).toMatchObject({ INNGEST_DEV: expect.any(String), MAIL_HOST: '127.0.0.1' })
  expect(stack.log()).toContain('the shop listens on')
  expect(lines.join('\n')).toContain('the shop listens on')
})

test('send returns the ids of events', async () => {
  const one = await stack.send(order(anAddress()))
  expect(one).toMatchObject({ name: 'order/placed', eventId: expect.stringMatching(/^\w{26}$/) })
  const two = await stack.send([order(anAddress()), { ...order(anAddress()), id: 'key' }])
  expect(two.map((sent) => sent.idempotencyKey)).toEqual([undefined, 'key'])

  const error = await failure<HarnessError>(stack.send({ name: '' }))
  expect(error).toBeInstanceOf(HarnessError)
  expect(error.code).toBe('invalid')
  expect(error.message).toContain('it has no name')
  expect(error.stack).toMatch(/^HarnessError: .*\n +at .*stack\.test\.mts/)
})

test('judge returns a verdict, whatever it is', async () => {
  const email = anAddress()
  const sent = await stack.send(order(email))
  const holds = await stack.judge(sent, {
    runs: [{ function: 'confirm', output: { price: 42 } }],
    mail: [{ to: email }],
  })
  expect(holds).toMatchObject({ outcome: 'holds', eventId: sent.eventId })
  expect(holds.text).toContain('✓ run of confirm COMPLETED')
  expect(holds.trace.mail[0]?.attachments[0]?.data.toString()).toBe('order,price\nA1,42\n')

  const broken = await stack.judge(sent.eventId, { mail: [{ to: email, subject: 'Order B2' }] })
  expect(broken.outcome).toBe('broken')
})

test('expect throws a verdict that does not hold', async () => {
  const email = anAddress()
  await stack.expect(order(email), { mail: [{ to: email }], noOtherMail: true })

  const error = await failure<VerdictError>(stack.expect(order(email), { mail: [{ to: email, subject: 'Order B2' }] }))
  expect(error).toBeInstanceOf(VerdictError)
  expect(error.message).toMatch(/^broken: email to .*: its subject differs: got "Order A1" want "Order B2"\n/)
  expect(error.message).toContain('← first broken hop')
  expect(error.message).toContain('confirming A1') // the app's output
  expect(error.verdict.outcome).toBe('broken')
  expect(Object.keys(error)).not.toContain('verdict')
  expect(error.stack).toMatch(/\n +at .*stack\.test\.mts/)

  const typo = await failure<HarnessError>(stack.expect(order(email), { mail: [{ to: email, subjekt: 'x' } as never] }))
  expect(typo.message).toContain('unknown field "mail[0].subjekt": did you mean "subject"?')

  for (const [value, message] of [
    [undefined, 'undefined, which asserts nothing: leave it out'],
    [/A1/, 'a RegExp, which JSON does not have: say { matches'],
    [expect.any(String), 'a matcher of the runner'],
    [1n, 'a bigint'],
  ] as const) {
    const runs = [{ function: 'confirm-order', output: { order: ['A1', value] } }]
    const error = await failure<HarnessError>(stack.judge({ name: 'order/placed' }, { runs }))
    expect(error.message).toContain(`expectation: runs[0].output.order[1] is ${message}`)
  }
  const nothing = await failure<HarnessError>(stack.expect(undefined as never, { noOtherMail: true }))
  expect(nothing.message).toMatch(/^the event is undefined: give one to send/)
  const number = await failure<HarnessError>(stack.expect(17 as never, { noOtherMail: true }))
  expect(number.message).toMatch(/^the event is 17: give one to send/)
})

test('invoke starts a function, also a scheduled one', async () => {
  const to = anAddress()
  const sent = await stack.invoke('report', { to })
  await stack.expect(sent, { runs: [{ function: 'report', status: 'COMPLETED' }], mail: [{ to, subject: 'Report' }] })
  expect(await stack.runs({ function: 'report', all: true, status: 'COMPLETED' })).toHaveLength(1)
  expect(await stack.runs({ function: 'report' })).toHaveLength(0) // its event is of the server

  const error = await failure<HarnessError>(stack.invoke('repport'))
  expect(error.code).toBe('not-found')
  expect(error.message).toContain('there is no function "repport"; registered: shop-confirm')
})

test('events, runs and trace say what has happened', async () => {
  const email = anAddress()
  const sent = await stack.send(order(email))
  await stack.expect(sent, { runs: [{ function: 'confirm', status: 'COMPLETED' }] })
  expect((await stack.events({ limit: 1 })).map((event) => event.eventId)).toEqual([sent.eventId])
  expect(await stack.event(sent)).toMatchObject({ data: { email } })
  const [run] = await stack.runs({ event: sent })
  expect(run).toMatchObject({
    function: 'confirm',
    status: 'COMPLETED',
    steps: [{ id: 'fetch-price' }, { id: 'send' }],
  })
  expect(await stack.runs({ event: 'order/placed', function: 'shop-confirm' })).toContainEqual(run)
  expect(await stack.runs({ event: sent, status: 'FAILED' })).toEqual([])
  expect(await stack.trace(sent)).toMatchObject({ quiet: true, mail: [{ subject: 'Order A1' }] })

  const unknown = '01M8MQ1KWYC7RF9PH58Y0S7N2V'
  const asks = [stack.event(unknown), stack.runs({ event: unknown }), stack.trace(unknown)]
  for (const error of await Promise.all(asks.map((ask) => failure<HarnessError>(ask)))) {
    expect(error.code).toBe('not-found')
    expect(error.message).toContain(`the Inngest server knows no event ${unknown}`)
  }
})

test('mail finds emails, with the bytes of their files', async () => {
  const email = anAddress()
  await stack.send(order(email))
  const mail = await stack.mail.wait({ to: email })
  expect(mail).toMatchObject({ subject: 'Order A1', from: [{ address: 'shop@example.test' }], inlines: [] })
  expect(mail.attachments).toHaveLength(1)
  expect(mail.attachments[0]).toMatchObject({ name: 'invoice.csv', data: Buffer.from('order,price\nA1,42\n') })
  expect(await stack.mail({ to: email, headers: { 'X-Inngest-Run-Id': mail.headers[0]!.value } })).toEqual([mail])
  expect(await stack.mail.source(mail)).toContain('Subject: Order A1\r\n')
  expect(await stack.mail.clear({ to: email })).toBe(1)
  expect(await stack.mail({ to: email })).toEqual([])

  const error = await failure<HarnessError>(stack.mail.wait({ to: email }, '50ms'))
  expect(error.code).toBe('not-found')
  expect(error.message).toContain(email)
  const source = await failure<HarnessError>(stack.mail.source('nothing'))
  expect(source.message).toContain('the inbox has no email "nothing"')
})

test('skip lets time pass, for one run, for one event, or for all', async () => {
  const [kim, lee] = [anAddress(), anAddress()]
  const forgotten = (email: string) => stack.send({ name: 'order/forgotten', data: { email } })
  const runOf = async (event: { eventId: string }) => {
    let runs
    while (!(runs = await stack.runs({ event })).length);
    return runs[0]!.id
  }
  const [ofKim, ofLee] = [await forgotten(kim), await forgotten(lee)]
  const run = await runOf(ofKim)
  await runOf(ofLee)
  await stack.skip({ run, by: '3d' })
  await stack.expect(ofKim, { mail: [{ to: kim }] })
  expect(await stack.mail({ to: lee })).toEqual([])

  const [ofAnn, ofBob] = [await forgotten(anAddress()), await forgotten(anAddress())]
  await stack.skip({ event: ofAnn, by: '3d' })
  expect(await stack.runs({ event: ofAnn })).toMatchObject([{ status: 'COMPLETED' }])
  expect(await stack.runs({ event: ofBob })).toMatchObject([{ status: 'RUNNING' }])

  for (const unsent of [forgotten(kim), undefined, { name: 'order/forgotten' }]) {
    const error = await failure<HarnessError>(stack.skip({ event: unsent as never, by: '3d' }))
    expect(error.message, 'it would skip time for all').toContain('what sending it returned')
  }

  const before = await stack.skip('1d')
  const now = await stack.skip({ until: new Date(before.getTime() + 2 * 24 * 3600_000) })
  expect(now.getTime() - before.getTime()).toBeGreaterThanOrEqual(2 * 24 * 3600_000)
  await stack.expect(ofLee, { mail: [{ to: lee }] })

  const error = await failure<HarnessError>(stack.skip('tomorrow'))
  expect(error.code).toBe('invalid')
  expect(error.message).toContain('"tomorrow" is not a duration')
})

test('replace gives a step other results', async () => {
  onTestFinished(async () => void (await stack.restore('confirm', 'fetch-price')))
  await stack.replace('confirm', 'fetch-price', { error: 'out of prices' }, { value: 7 })
  const email = anAddress()
  await stack.expect(order(email), {
    runs: [{ function: 'confirm', output: { price: 7 }, steps: [{ id: 'fetch-price', attempts: 2 }] }],
  })
  expect(await stack.restore('confirm', 'fetch-price')).toBe(true)

  await stack.replace('confirm', 'fetch-the-price', { value: 7 })
  await stack.expect(order(anAddress()), { runs: [{ function: 'confirm' }] })
  expect(await stack.restore('confirm', 'fetch-the-price'), 'the function has no such step').toBe(false)

  const error = await failure<HarnessError>(stack.replace('confirm', '', { value: 1 }))
  expect(error.code).toBe('invalid')
  expect(error.message).toContain('step')
})

test('stub answers the requests of steps', async () => {
  await stack.stub({ url: 'https://rates.example.test/*', body: { rate: 1.08 } })
  await stack.expect({ name: 'price/asked' }, { runs: [{ function: 'convert', output: { rate: 1.08 } }] })

  const error = await failure<HarnessError>(stack.stub({ url: 'https://a.test', statuss: 200 } as never))
  expect(error.message).toContain('statuss')
})

test('a fault acts on a wire', async () => {
  const email = anAddress()
  const refused = await stack.fault({ at: 'rcpt', do: 'reply', code: 451, to: email })
  expect(refused.text).toContain('reply 451 at rcpt')
  expect(await refused.applied()).toBe(0)
  await stack.expect(order(email), {
    runs: [{ function: 'confirm', steps: [{ id: 'send', attempts: 2 }] }],
    mail: [{ to: email }],
  })
  await refused.reached()
  expect(await refused.applied()).toBe(1)

  const held = await stack.fault({ at: 'dot', do: 'hold', to: email })
  const sent = await stack.send(order(email, 'B2'))
  await held.reached()
  expect(await stack.mail({ to: email, subject: 'Order B2' })).toEqual([])
  await held.release()
  await stack.expect(sent, { mail: [{ to: email, subject: 'Order B2' }] })

  const dropped = await stack.fault({ at: 'dot', do: 'hold', to: email })
  const again = await stack.send(order(email, 'C3'))
  await dropped.reached()
  await dropped.drop()
  await stack.expect(again, { runs: [{ function: 'confirm', steps: [{ id: 'send', attempts: 2 }] }] })

  const idle = await stack.fault({ at: 'rcpt', do: 'reply', code: 451, to: anAddress() })
  const error = await failure<HarnessError>(idle.reached('50ms'))
  expect(error.message).toMatch(/^the fault has not acted within 50ms: reply 451 at rcpt/)
  const wrong = await failure<HarnessError>(stack.fault({ at: 'dot', do: 'reply' }))
  expect(wrong.message).toContain('reply needs "code"')
})

test('golden compares an email', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'goldens-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const email = anAddress()
  await stack.send(order(email))
  const mail = await stack.mail.wait({ to: email })
  const replace = [{ old: email, new: '{{email}}' }]

  const missing = await failure<HarnessError>(stack.golden('confirmation', mail, { dir }))
  expect(missing.code).toBe('differs')
  expect(missing.message).toContain('confirmation')
  await stack.golden('confirmation', mail, { dir, replace, update: true })
  expect(readdirSync(join(dir, 'confirmation'))).toContain('email.txt')
  expect(readFileSync(join(dir, 'confirmation', 'email.txt'), 'utf8')).toContain('{{email}}')
  await stack.golden('confirmation', mail, { dir, replace })
  await stack.expect(order(email), { mail: [{ to: email, golden: 'confirmation' }] }, { golden: { dir, replace } })

  const other = await stack.send(order(email, 'B2'))
  const differs = await failure<VerdictError>(
    stack.expect(other, { mail: [{ to: email, golden: 'confirmation' }] }, { golden: { dir, replace } }),
  )
  expect(differs.message).toContain('Order B2')
})

test('a connected stack is the same, and stays up', async () => {
  const connected = await connectStack({ dir: stack.dir })
  expect(connected.urls).toEqual(stack.urls)
  await connected.stop()
  expect(await stack.events({ limit: 1 })).toHaveLength(1)

  const error = await failure<HarnessError>(connectStack({ dir: tmpdir() }))
  expect(error.code).toBe('no-stack')
  expect(error.message).toBe(`no stack is up in ${tmpdir()}: start one with \`npx harness up\``)
})
