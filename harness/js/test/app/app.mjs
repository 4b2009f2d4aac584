// The app of the tests: a shop. It serves Inngest by node:http, and sends emails by nodemailer.
import { createServer } from 'node:http'
import { Inngest, cron } from 'inngest'
import { serve } from 'inngest/node'
import { createTransport } from 'nodemailer'

const { MAIL_HOST, MAIL_PORT, PORT } = process.env
const mailer = createTransport({ host: MAIL_HOST, port: Number(MAIL_PORT), ignoreTLS: true })
const inngest = new Inngest({ id: 'shop' })

const send = (run, mail) =>
  mailer.sendMail({ from: 'shop@example.test', ...mail, headers: { 'X-Inngest-Run-Id': run } })

const confirm = inngest.createFunction(
  { id: 'confirm', triggers: [{ event: 'order/placed' }] },
  async ({ event, step, runId }) => {
    const { order, email } = event.data
    const price = await step.run('fetch-price', () => {
      if (!email) throw new Error(`order ${order} has no email address`)
      return 42
    })
    await step.run('send', () => {
      console.log(`confirming ${order}`)
      return send(runId, {
        to: email,
        subject: `Order ${order}`,
        text: `Thank you, ${email}! You pay ${price}.`,
        attachments: [
          { filename: 'invoice.csv', content: `order,price\n${order},${price}\n`, contentType: 'text/csv' },
        ],
      })
    })
    return { price }
  },
)

const remind = inngest.createFunction(
  { id: 'remind', triggers: [{ event: 'order/forgotten' }] },
  async ({ event, step, runId }) => {
    await step.sleep('wait', '3d')
    await step.run('send', () =>
      send(runId, { to: event.data.email, subject: 'Your basket waits', text: 'Come back!' }),
    )
  },
)

const convert = inngest.createFunction({ id: 'convert', triggers: [{ event: 'price/asked' }] }, async ({ step }) =>
  (await step.fetch('https://rates.example.test/eur')).json(),
)

const report = inngest.createFunction(
  { id: 'report', triggers: [cron('0 8 * * *')] },
  async ({ event, step, runId }) => {
    await step.run('send', () => send(runId, { to: event.data.to, subject: 'Report', text: 'All is well.' }))
  },
)

const crash = inngest.createFunction({ id: 'crash', triggers: [{ event: 'app/crashed' }] }, () => process.exit(3))

const inngestHandler = serve({ client: inngest, functions: [confirm, remind, convert, report, crash] })
createServer((request, response) => {
  if (request.url.startsWith('/api/inngest')) return inngestHandler(request, response)
  response.writeHead(404).end()
}).listen(Number(PORT), '127.0.0.1', () => console.log(`the shop listens on ${PORT}`))
