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
        event = {"name": "shop/invoice.sent", "data": {"to": self.to, "invoice": 17}}
        return self.stack.request("POST", "/events", event)[0]["eventId"]

    def judge(self, event_id, expectation):
        answer = self.stack.request("POST", "/judge", {"eventId": event_id, "expectation": expectation})
        if answer["verdict"]["outcome"] != "holds":
            self.fail(answer["text"])
        return answer["verdict"]

    def skip(self, event_id, time):
        """Let time pass for what one event leads to alone."""
        self.stack.request("POST", "/skip", {"event": event_id, "by": time})

    def test_invoice_is_sent_at_once_and_reminder_after_two_weeks(self):
        event = self.send()
        self.judge(event, {"mail": [{"to": self.to, "subject": "Invoice 17"}]})
        self.skip(event, "14d")
        self.judge(event, {
            "runs": [{"function": "remind", "status": "COMPLETED", "output": {"reminded": self.to}}],
            "mail": [{"to": self.to, "subject": "Invoice 17"}, {"to": self.to, "subject": {"contains": ["Reminder"]}}],
            "noOtherMail": True,
        })

    def test_invoice_is_sent_once_although_mail_server_refuses_twice(self):
        self.stack.request("POST", "/faults", {"at": "rcpt", "do": "reply", "code": 451, "to": self.to, "times": 2})
        event = self.send()
        self.skip(event, "1h")
        self.judge(event, {"runs": [{"function": "remind", "steps": [{"id": "send-invoice", "status": "COMPLETED", "attempts": 3}]}]})
        mail = self.stack.request("GET", f"/mail?to={self.to}")
        self.assertEqual(["Please pay invoice 17 within two weeks."], [m["text"].strip() for m in mail])

    def test_no_reminder_where_invoice_could_not_be_sent(self):
        outcomes = [{"error": "the printer is on fire", "noRetry": True}]
        self.stack.request("POST", "/replace", {"replace": [{"function": "remind", "step": "send-invoice", "outcomes": outcomes}]})
        self.addCleanup(self.stack.request, "POST", "/replace", {"replace": [{"function": "remind", "step": "send-invoice", "outcomes": []}]})
        event = self.send()
        self.judge(event, {
            "runs": [{"function": "remind", "status": "FAILED", "error": "on fire"}],
            "mail": [{"to": self.to, "absent": True}],
        })

    def test_verdict_names_what_is_missing(self):
        event = self.send()
        self.skip(event, "14d")
        answer = self.stack.request("POST", "/judge", {"eventId": event, "expectation": {"mail": [{"to": "lee@shop.test"}]}})
        self.assertEqual("broken", answer["verdict"]["outcome"])
        self.assertIn("no email to lee@shop.test", answer["text"])


if __name__ == "__main__":
    unittest.main()
