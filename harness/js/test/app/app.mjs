// The app of the tests: orders. It serves Inngest by node:http, and sends emails by nodemailer.
import { createServer } from 'node:http'
import { Inngest, cron } from 'inngest'
import { serve } from 'inngest/node'
import { createTransport } from 'nodemailer'

const { MAIL_HOST, MAIL_PORT, PORT } = process.env
const mailer = createTransport({ host: MAIL_HOST, port: Number(MAIL_PORT), secure: false, ignoreTLS: true })
const inngest = new Inngest({ id: 'shop' })

const send = (runId, to, subject, text, attachments) =>
  mailer.sendMail({ from: 'shop@example.test', to, subject, text, attachments, headers: { 'X-Inngest-Run-Id': runId } })

const confirmOrder = inngest.createFunction(
  { id: 'confirm-order', triggers: [{ event: 'order/placed' }] },
  async ({ event, step, runId }) => {
    const { order, email } = event.data
    const price = await step.run('fetch-price', () => {
      if (!email) throw new Error(`order ${order} has no email address`)
      return 42
    })
    await step.run('send-confirmation', async () => {
      console.log(`confirming ${order}`)
      await send(runId, email, `Order ${order}`, `Thank you! You pay ${price}.`, [
        { filename: 'invoice.csv', content: `order,price\n${order},${price}\n`, contentType: 'text/csv' },
      ])
    })
    return { price }
  },
)

const remind = inngest.createFunction(
  { id: 'remind', triggers: [{ event: 'order/forgotten' }] },
  async ({ event, step, runId }) => {
    await step.sleep('wait', '3d')
    await step.run('send-reminder', () =>
      send(runId, event.data.email, 'Did you forget something?', 'Your basket waits.'),
    )
  },
)

const convert = inngest.createFunction({ id: 'convert', triggers: [{ event: 'price/asked' }] }, async ({ step }) => {
  const response = await step.fetch('https://rates.example.test/eur')
  return { rate: await response.json() }
})

const report = inngest.createFunction(
  { id: 'report', triggers: [cron('0 8 * * *')] },
  async ({ event, step, runId }) => {
    await step.run('send', () => send(runId, event.data.to, 'Report', 'All is well.'))
  },
)

const handler = serve({ client: inngest, functions: [confirmOrder, remind, convert, report] })
createServer((request, response) => {
  if (request.url?.startsWith('/api/inngest')) return handler(request, response)
  response.writeHead(404).end()
}).listen(Number(PORT), '127.0.0.1', () => console.log(`listening on ${PORT}`))
