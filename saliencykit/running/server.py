"""Voilà for one page, one machine and whoever has the key: what `serving.explore` starts.

Voilà by itself answers to any name, runs a kernel for every request, and keeps it for ever. Here

- a request must call this machine by a name that no other web site can have, and must not come from
  another site's page (else a site whose name is made to mean this machine could read ours);
- who wants the page must have its key, which the address that we print holds (other users of this
  machine do not); the key is changed for a cookie;
- there are few kernels at a time, and one ends with its page: at once if the page says good-bye or
  its connection breaks while it is computed, else a minute after the last connection to it;
- kernels are spoken to through sockets in a folder of our own, which others cannot enter.
"""

import asyncio
import errno
import html
import ipaddress
import logging
import secrets
import signal
import webbrowser
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyter_core.utils import ensure_async
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPMessageDelegate, HTTPServerRequest, split_host_and_port
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.routing import Router
from tornado.web import Application, HTTPError, RequestHandler, authenticated
from traitlets import Float, Integer
from traitlets.config import Config
from voila.app import Voila
from voila.tornado.handler import TornadoVoilaHandler

PORTS = 50
"""How many ports are tried."""
LARGEST = 512 << 20
"""Bytes of the largest message that a page may send: an image of one's own is one. Larger ones end
the connection; the widget refuses much smaller ones, in words."""
PATIENCE = 5.0
"""Seconds that a request waits for a kernel to end, as that of a page does that is loaded anew."""
FORGOTTEN = 12 * 3600
"""Seconds after which a kernel that nobody asks anything ends, though its page may be open."""
WIDGETS = ["@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8"]
"""What runs in the page of all that is installed for JupyterLab."""
SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP

FULL = (
    "This explorer shows {most} pages at a time, since each takes about 1 GB of memory, and "
    "all are taken. Close one of them, wait a minute, and load this one again."
)
DIED = "What computes this page has ended, perhaps for want of memory. Load the page again."
NOT_US = (
    "This explorer is on this machine alone: call it localhost or 127.0.0.1, not {host}. From "
    "another machine: ssh -L 8866:localhost:8866, then the address that was printed."
)
NOT_OURS = "This request comes from a page of {origin}, which is none of this explorer's."


def fault(request: HTTPServerRequest) -> str | None:
    """Return why a request is not answered, in words, or None if it may be.

    The Host that it names must mean this machine whoever is asked; what sent it must be our page.
    """
    host, _ = split_host_and_port(request.host.lower())
    try:
        here = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        here = host == "localhost"
    if not here:
        return NOT_US.format(host=host)
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
        return NOT_OURS.format(origin=origin)
    return None


def in_words(text: str) -> str:
    """Return a page that says `text`."""
    return f"<!doctype html><meta charset=utf-8><title>Explorer</title><p>{html.escape(text)}</p>"


class Guard(Router):
    """Hands an application only those requests in which there is no `fault`."""

    def __init__(self, application: Application):
        self.application = application

    def find_handler(
        self, request: HTTPServerRequest, **more: object
    ) -> HTTPMessageDelegate | None:
        """Return what answers `request`."""
        if text := fault(request):
            return self.application.get_handler_delegate(request, Refusal, {"text": text})
        return self.application.find_handler(request, **more)


class Refusal(RequestHandler):
    """Says why a request is not answered."""

    def initialize(self, text: str) -> None:
        """Take the `text` to say."""
        self.text = text

    def prepare(self) -> None:
        """Say it, whatever was asked."""
        self.set_status(403)
        self.finish(in_words(self.text))


class Page(TornadoVoilaHandler):
    """The page, computed by a kernel of its own while it is sent."""

    kernel_id: str | None = None
    gone = False

    @property
    def content_security_policy(self) -> str:
        """What a browser is told: nobody but this server is asked for anything.

        Voilà's template names style sheets on another; Jupyter's scripts make scripts of text.
        """
        ours = f"'self' 'unsafe-inline' 'unsafe-eval' data: blob: ws://{self.request.host}"
        return f"frame-ancestors 'self'; default-src {ours}"

    @authenticated
    async def get(self, path: str | None = None) -> None:
        """Send the page, or say in words why not."""
        if path:
            raise HTTPError(404)
        kernels = self.kernel_manager
        if not await kernels.room_for(self):
            self.set_status(503)
            self.finish(in_words(FULL.format(most=kernels.most)))
            return
        _PAGE.set(self)
        _ = self.xsrf_token  # sets the cookie without which the page's good-bye is not heard
        try:
            async for part in self.get_generator():
                if self.gone:
                    break
                if not await kernels.lives(self.kernel_id):
                    self.write(in_words(DIED))
                    break
                self.write(part)
                self.flush()
        finally:
            kernels.served(self)

    def on_connection_close(self) -> None:
        """Note that nobody waits for the page any more."""
        super().on_connection_close()
        self.gone = True
        self.kernel_manager.served(self)


_PAGE: ContextVar[Page] = ContextVar("_PAGE")
"""The page for which this task starts a kernel."""


class Kernels(AsyncMappingKernelManager):
    """Few kernels, each of which ends when its page has gone."""

    most = Integer(3, config=True, help="Kernels at a time.")
    grace = Float(60.0, config=True, help="Seconds that a kernel without a page is kept.")

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self.computed: set[Page] = set()
        self.ending: set[str] = set()

    async def room_for(self, page: Page) -> bool:
        """Return whether `page` may have a kernel; if so, it counts from now on."""
        end = IOLoop.current().time() + PATIENCE
        while True:
            taken = {*self.list_kernel_ids(), *(p.kernel_id or p for p in self.computed)}
            if len(taken) < self.most:
                self.computed.add(page)
                return True
            if page.gone or IOLoop.current().time() > end:
                return False
            await asyncio.sleep(0.1)

    async def start_kernel(self, **how: Any) -> str:
        """Start the kernel of the page that this task computes."""
        page = _PAGE.get()
        page.kernel_id = await super().start_kernel(**how)
        return page.kernel_id

    def served(self, page: Page) -> None:
        """Note that `page` is sent, or has gone: its kernel ends, soon or at once."""
        self.computed.discard(page)
        if page.kernel_id is not None:
            self.end_if_alone(page.kernel_id, after=0 if page.gone else self.grace)

    def notify_disconnect(self, kernel_id: str) -> None:
        """Note that a connection to a kernel has ended."""
        super().notify_disconnect(kernel_id)
        self.end_if_alone(kernel_id, after=self.grace)

    def end_if_alone(self, kernel_id: str, after: float) -> None:
        """End a kernel in `after` seconds, if no page is connected to it then."""

        async def end() -> None:
            if self._kernel_connections.get(kernel_id) == 0 and kernel_id not in self.ending:
                self.ending.add(kernel_id)
                with suppress(KeyError, HTTPError):  # its page has ended it meanwhile
                    await ensure_async(self.shutdown_kernel(kernel_id, now=True))
                self.ending.discard(kernel_id)

        IOLoop.current().call_later(after, end)

    async def lives(self, kernel_id: str | None) -> bool:
        """Return whether a kernel is there and runs; True before it has been started."""
        if kernel_id is None:
            return True
        return kernel_id in self and await ensure_async(self.get_kernel(kernel_id).is_alive())


class Explorer(Voila):
    """Voilà as the module's text says."""

    @classmethod
    def serve(cls, page: Path, port: int, browser: bool, **kernels: object) -> None:
        """Serve a notebook, in whose folder all that is needed lies, until a signal ends us.

        kernels: settings of `Kernels`.
        """
        config = Config(
            {
                "Voila": {
                    "config_file_paths": [],
                    "connection_dir_root": str(page.parent),
                    "notebook_path": str(page),
                    "port": port,
                    "open_browser": browser,
                    "token": secrets.token_urlsafe(24),
                    "log_level": "ERROR",
                    "tornado_settings": {
                        "websocket_max_message_size": LARGEST,
                        "allow_remote_access": False,
                    },
                },
                "VoilaConfiguration": {
                    "theme": "light",
                    "allow_theme_override": "NO",
                    "allow_template_override": "NO",
                    "file_allowlist": [],
                    "extension_allowlist": WIDGETS,
                    "multi_kernel_manager_class": Kernels,
                },
                "VoilaExecutor": {"timeout": 0},
                "IdentityProvider": {"cookie_options": {"samesite": "Strict"}},
                "KernelManager": {"transport": "ipc", "autorestart": False},
                "Kernels": {"cull_idle_timeout": FORGOTTEN, "cull_connected": True, **kernels},
            }
        )
        logging.getLogger("tornado").setLevel("ERROR")  # who is refused is told so, not we
        app = cls(config=config)
        app.initialize([])
        app.start()

    @property
    def address(self) -> str:
        """The page's address, with its key."""
        return f"{self.connection_url}?token={self.token}"

    def init_handlers(self) -> list:
        """Return Voilà's handlers, with `Page` in place of its own."""

        def ours(rule: tuple) -> tuple:
            pattern, handler, *settings = rule
            return (pattern, Page if handler is TornadoVoilaHandler else handler, *settings)

        return [ours(rule) for rule in super().init_handlers()]

    def listen(self) -> None:
        """Listen at `port`, or the next free one, say where, and go on until told to end."""
        server = HTTPServer(Guard(self.app), max_buffer_size=2 * LARGEST)
        sockets = self._bound()
        server.add_sockets(sockets)
        self.port = sockets[0].getsockname()[1]
        print(f"The unit explorer, until Ctrl-C: {self.address}", flush=True)
        if self.open_browser:
            self.launch_browser()
        self._serve_until_told()

    def _serve_until_told(self) -> None:
        """Run until a signal comes, then end the kernels. Ctrl-C is how one is meant to end us."""
        loop, told = IOLoop.current(), []

        def leave(number: signal.Signals) -> None:
            told.append(number)
            loop.stop()

        for number in SIGNALS:
            loop.asyncio_loop.add_signal_handler(number, leave, number)
        try:
            loop.start()
        finally:
            for number in SIGNALS:
                loop.asyncio_loop.remove_signal_handler(number)  # a second one ends us at once
            loop.run_sync(self._end_kernels)  # on this loop, which they are started on
        if told and told[0] != signal.SIGINT:
            raise SystemExit(128 + told[0])

    async def _end_kernels(self) -> None:
        """End all kernels, once those that are just starting can be ended."""
        kernels = self.kernel_manager
        await asyncio.gather(*kernels._pending_kernels.values(), return_exceptions=True)
        with suppress(HTTPError):  # its page ended one meanwhile
            await ensure_async(kernels.shutdown_all(now=True))

    def _bound(self) -> list:
        """Sockets at the first free port. Raises OSError if none is, or it is not ours to take."""
        for port in range(self.port, min(self.port + PORTS, 65535)):
            try:
                return bind_sockets(port, self.ip)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise OSError(f"Port {port} cannot be served at: {error.strerror}") from error
        raise OSError(f"No port is free from {self.port} on: say another --port")

    def launch_browser(self) -> None:
        """Open the page: by way of a file, so that the key is in no list of processes."""
        way = Path(self.root_dir) / "open.html"
        way.write_text(f'<meta http-equiv="refresh" content="0; url={html.escape(self.address)}">')
        with suppress(webbrowser.Error):
            webbrowser.open(way.as_uri(), new=2)

    def _handle_signal_stop(self, number: int, frame: object) -> None:
        raise SystemExit(128 + number)  # before we serve
