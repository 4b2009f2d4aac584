"""An app with one function: it emails an invoice, and a reminder two weeks later."""

import email.message
import os
import signal
import smtplib
import sys

import inngest


def remind(event, run_id, step):
    to, invoice = event["data"]["to"], event["data"]["invoice"]
    step.run("send-invoice", lambda: send(run_id, to, f"Invoice {invoice}", f"Please pay invoice {invoice} within two weeks."))
    step.sleep("two-weeks", "14d")
    step.run("send-reminder", lambda: send(run_id, to, f"Reminder of invoice {invoice}", "The two weeks are over."))
    return {"reminded": to}


def send(run_id, to, subject, text):
    message = email.message.EmailMessage()
    message["From"], message["To"], message["Subject"] = "billing@shop.test", to, subject
    message["X-Inngest-Run-Id"] = run_id  # so that the harness knows which run has sent it
    message.set_content(text)
    with smtplib.SMTP(os.environ["MAIL_HOST"], int(os.environ["MAIL_PORT"])) as server:
        server.send_message(message)


signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
inngest.serve("billing", {"remind": ("shop/invoice.sent", remind)})
