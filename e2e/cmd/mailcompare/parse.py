"""Decodes the emails whose files are named on standard input, one a line, and prints each as a line of JSON."""
import email
import email.policy
import email.utils
import hashlib
import json
import sys
import warnings

warnings.simplefilter("ignore")


def header(message, name):
    """The decoded value of a header; the standard policy raises an error for some."""
    try:
        return str(message[name] or "")
    except Exception:
        raw = next((v for k, v in message._headers if k.lower() == name.lower()), "")
        return str(email.header.make_header(email.header.decode_header(raw)))


def addresses(message, name):
    try:
        return [[a.display_name, a.addr_spec] for h in message.get_all(name, []) for a in h.addresses]
    except Exception:
        raw = [v for k, v in message._headers if k.lower() == name.lower()]
        return [[n, a] for n, a in email.utils.getaddresses(raw)]


def content(part):
    """The decoded text of a part, or None."""
    try:
        return part.get_content()
    except Exception:
        data = part.get_payload(decode=True)
        return None if data is None else data.decode("utf-8", "replace")


def leaves(part):
    """The parts without parts. An attached message is one of them."""
    if part.get_content_maintype() == "multipart" and part.is_multipart():
        for child in part.get_payload():
            yield from leaves(child)
    else:
        yield part


def parse(path):
    with open(path, "rb") as f:
        message = email.message_from_bytes(f.read(), policy=email.policy.default)
    out = {"subject": header(message, "subject"), "messageID": header(message, "message-id")}
    for field, name in (("from", "from"), ("to", "to"), ("cc", "cc"), ("replyTo", "reply-to")):
        out[field] = addresses(message, name)
    try:
        date = message["date"]
        out["date"] = int(date.datetime.timestamp()) if date and date.datetime else 0
    except Exception:
        out["date"] = 0
    bodies = []
    for kind in ("plain", "html"):
        try:
            bodies.append(message.get_body((kind,)))
        except Exception:
            pass
    texts = {"text/plain": [], "text/html": []}
    out["files"] = []
    for part in leaves(message):
        kind = part.get_content_type()
        attached = part.get_content_disposition() not in (None, "inline")
        try:
            name = part.get_filename() or ""
        except Exception:
            name = ""
        if kind in texts and not attached and (not name or any(part is b for b in bodies)):
            text = content(part)
            if isinstance(text, str):
                texts[kind].append(text)
            continue
        data = part.get_payload(decode=True)
        out["files"].append({
            "name": name, "type": kind, "id": str(part["content-id"] or ""),
            "sha256": hashlib.sha256(data).hexdigest() if data is not None else "",
        })
    out["text"] = "\n".join(texts["text/plain"])
    out["html"] = "\n".join(texts["text/html"])
    return out


for line in sys.stdin:
    path = line.rstrip("\n")
    try:
        result = parse(path)
    except Exception as e:
        result = {"error": f"{type(e).__name__}: {e}"}
    print(json.dumps(result, ensure_ascii=True))
