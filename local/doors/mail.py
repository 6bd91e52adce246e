"""Reading the mails that the stack has sent."""

import asyncio
from email.utils import parseaddr

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.mailbox import Mail, Mailbox

PATH = "/_local/mail"


class MailDoor:
    """Lists and empties a mailbox; without one there are no mails."""

    def __init__(self, mailbox: Mailbox | None) -> None:
        self._mailbox = mailbox

    async def list(self, request: Request) -> Response:
        """Answer with the mails, the newest first; `to` keeps those to one address."""
        to = request.query_params.get("to")
        mails = await asyncio.to_thread(self._mailbox.mails) if self._mailbox else []
        return JSONResponse({"items": [mail.fields for mail in mails if to is None or _is_to(mail, to)]})

    async def empty(self, _: Request) -> Response:
        """Throw all mails away."""
        if self._mailbox:
            await asyncio.to_thread(self._mailbox.empty)
        return Response(status_code=204)


def _is_to(mail: Mail, address: str) -> bool:
    return address.lower() in (parseaddr(one)[1].lower() for one in mail.to)
