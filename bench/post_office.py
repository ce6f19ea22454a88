"""django-post_office, a well-known queue of mail in Django, doing the same: the same mail into the same SMTP sink.

Run as its users run it: `mail.send(template=…, context=…)` queues a mail, `send_queued` sends what is queued, with the
settings that it has by default. In a process of its own, so that Django's settings stay out of the others.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from nurture.benchmark.stock import FOLDER
from nurture.db.session import is_sqlite, read_url

TEMPLATES = FOLDER / "templates" / "bench"


def is_installed() -> bool:
    """Tell whether it is there: the optional extra `bench` brings it."""
    return importlib.util.find_spec("post_office") is not None


def measure(messages: int, database: str, port: int) -> dict[str, float]:
    """Queue and send so many mails in a process of its own."""
    words = ["--messages", str(messages), "--db", database, "--port", str(port)]
    command = [sys.executable, "-m", "bench.post_office", *words]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"django-post_office failed: {ran.stderr or ran.stdout}")
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure in this process and print a JSON line."""
    parser = argparse.ArgumentParser(prog="python -m bench.post_office", description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000)
    parser.add_argument("--db", required=True, metavar="URL")
    parser.add_argument("--port", type=int, required=True, help="of an SMTP sink on 127.0.0.1")
    wanted = parser.parse_args(arguments)
    _configure(wanted.db, wanted.port)
    print(json.dumps(_run(wanted.messages)))


def _run(messages: int) -> dict[str, float]:
    from django.core.management import call_command
    from post_office import mail
    from post_office.models import EmailTemplate

    call_command("migrate", verbosity=0)
    text = (TEMPLATES / "welcome.txt").read_text("utf-8")
    html = (TEMPLATES / "welcome.html").read_text("utf-8")
    EmailTemplate.objects.create(name="welcome", subject=_block(text, "subject"), content=_block(text, "content"),
                                 html_content=html)  # fmt: skip
    began, cpu = time.perf_counter(), time.process_time()
    for number in range(messages):
        mail.send(f"u{number}@bench.example", "hello@acme.example", template="welcome", context=_context(number))
    queued, sent = time.perf_counter(), 0
    while sent < messages:
        done, failed, requeued = mail.send_queued(log_level=1)
        if failed or requeued or not done:
            raise RuntimeError(f"{sent + done} of {messages} mails were sent, {failed} failed")
        sent += done
    ended = time.perf_counter()
    return {
        "rate": round(messages / (ended - began), 1),
        "queue_rate": round(messages / (queued - began), 1),
        "send_rate": round(messages / (ended - queued), 1),
        "cpu_us": round((time.process_time() - cpu) / messages * 1e6, 1),
    }


def _block(text: str, name: str) -> str:
    found = re.search(rf"{{% block {name} %}}(.*?){{% endblock %}}", text, re.DOTALL)
    return found[1].strip() if found else ""


def _context(number: int) -> dict[str, str]:
    return {
        "first_name": f"Ann{number}",
        "company": f"Company {number}",
        "plan": "pro" if number % 2 else "free",
        "our_postal_address": "1 High Street, London W1A 1AA",
        "unsubscribe_url": f"https://news.acme.example/u/{number:040x}",
    }


def _configure(database: str, port: int) -> None:
    import django
    from django.conf import settings

    url = read_url(database)
    place: dict[str, Any] = {"ENGINE": "django.db.backends.sqlite3", "NAME": url.database}
    if not is_sqlite(url):
        host = url.host or str(url.query.get("host", ""))
        place = {"ENGINE": "django.db.backends.postgresql", "NAME": url.database, "USER": url.username or "",
                 "PASSWORD": url.password or "", "HOST": host, "PORT": url.port or ""}  # fmt: skip
    settings.configure(
        DATABASES={"default": place},
        INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        EMAIL_BACKEND="post_office.EmailBackend",
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=port,
        POST_OFFICE={"BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"}},
    )
    django.setup()


if __name__ == "__main__":
    main()
