"""A mail server on loopback that keeps what it gets."""

import email
import socketserver
import threading
from email.message import EmailMessage
from email.policy import default


class MailServer:
    """Takes any mail over plain SMTP; `mails` are what it got."""

    def __enter__(self) -> "MailServer":
        self.mails: list[EmailMessage] = []
        mails = self.mails

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 here\r\n")
                while line := self.rfile.readline():
                    verb = line[:4].upper()
                    if verb == b"QUIT":
                        break
                    self.wfile.write(b"354 go on\r\n" if verb == b"DATA" else b"250 ok\r\n")
                    if verb == b"DATA":
                        body = b"".join(iter(self.rfile.readline, b".\r\n"))
                        mails.append(email.message_from_bytes(body, policy=default))  # type: ignore[arg-type]
                        self.wfile.write(b"250 kept\r\n")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])
