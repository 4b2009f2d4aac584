import os
import secrets
import sys
import unittest

from harness import Stack

COMMAND = [sys.executable, "-u", os.path.join(os.path.dirname(__file__), "app.py")]


class RemindTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = Stack(*COMMAND)
        cls.addClassCleanup(cls.stack.stop)

    def setUp(self):
        # Tests share the stack, so each has an address of its own.
        self.to = f"kim-{secrets.token_hex(4)}@shop.test"

    def send(self):
        sent = self.stack.request("POST", "/events", {"name": "shop/invoice.sent", "data": {"to": self.to, "invoice": 17}})
        return sent[0]["eventId"]

    def judge(self, event_id, expectation):
        answer = self.stack.request("POST", "/judge", {"eventId": event_id, "expectation": expectation})
        if answer["verdict"]["outcome"] != "holds":
            self.fail(answer["text"])
        return answer["verdict"]

    def test_invoice_is_sent_at_once_and_reminder_after_two_weeks(self):
        event = self.send()
        verdict = self.judge(event, {"mail": [{"to": self.to, "subject": "Invoice 17"}]})

        run = verdict["trace"]["runs"][0]["id"]
        self.stack.request("POST", "/skip", {"by": "14d", "run": run})
        self.judge(event, {
            "runs": [{"function": "remind", "status": "COMPLETED", "output": {"reminded": self.to}}],
            "mail": [{"to": self.to, "subject": "Invoice 17"}, {"to": self.to, "subject": {"contains": ["Reminder"]}, "text": ["two weeks"]}],
            "noOtherRuns": True, "noOtherMail": True,
        })

    def test_invoice_is_sent_once_although_mail_server_refuses_twice(self):
        fault = self.stack.request("POST", "/faults", {"at": "rcpt", "do": "reply", "code": 451, "to": self.to, "times": 2})
        event = self.send()
        self.stack.request("GET", f"/faults/{fault['id']}?wait=10s")
        self.stack.request("POST", "/skip", {"by": "10m"})
        self.judge(event, {
            "runs": [{"function": "remind", "steps": [{"id": "send-invoice", "status": "COMPLETED", "attempts": 3}]}],
            "mail": [{"to": self.to, "subject": "Invoice 17"}],
        })
        mail = self.stack.request("GET", f"/mail?to={self.to}")
        self.assertEqual(["Please pay invoice 17 within two weeks."], [m["text"].strip() for m in mail])

    def test_verdict_names_what_is_missing(self):
        event = self.send()
        answer = self.stack.request("POST", "/judge", {"eventId": event, "expectation": {"mail": [{"to": "lee@shop.test"}]}, "timeout": "100ms"})
        self.assertEqual("broken", answer["verdict"]["outcome"])
        self.assertIn("no email to lee@shop.test", answer["text"])


if __name__ == "__main__":
    unittest.main()
